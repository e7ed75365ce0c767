"""Makes the invented school of the demo: `python tools/make_school.py`, the same files every time.

1 200 pupils in six grades of five classes, their guardians, 92 staff, guards, contractors, vehicles and a bus. Every
name is made of a number word and a plant, so that nobody can be meant. The calendar follows the State Council's
notice for 2026; for 2027 there is none yet, so the school's own term dates stand and no public holiday is invented.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import chinese_calendar

FOLDER = Path(__file__).parents[1] / "hardware" / "sites" / "demo-school"
SEED = 20260901
GRADES, CLASSES, PUPILS = 6, 5, 40
FIRST, LAST = date(2026, 9, 1), date(2027, 7, 9)
TERMS = ((date(2026, 9, 1), date(2027, 1, 22), "上学期"), (date(2027, 2, 22), LAST, "下学期"))
EXAMS = (date(2026, 11, 12), date(2026, 11, 13), date(2027, 1, 20), date(2027, 1, 21))
HALF_DAYS = ((date(2027, 1, 22), "放假前半天"),)
FIRST_WORDS = "赵钱孙李周吴郑王冯陈"
PLANTS = "松柏杨柳梅兰竹菊荷桂"
NUMBERS = "零一二三四五六七八九"
HOLIDAY_WORDS = {
    "Mid-autumn Festival": "中秋节", "National Day": "国庆节", "New Year's Day": "元旦", "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节", "Labour Day": "劳动节", "Dragon Boat Festival": "端午节",
}  # fmt: skip


def card(kind: int, number: int) -> str:
    """Ten hex digits; the first two say what the holder is."""
    return f"{kind:02X}{number:08X}"


def name(number: int) -> str:
    digits = "".join(NUMBERS[int(digit)] for digit in f"{number:04d}")
    return f"{FIRST_WORDS[number % 10]}{PLANTS[number // 10 % 10]}{digits}"


class School:
    def __init__(self) -> None:
        self.rng = random.Random(SEED)
        self.people: list[str] = []
        self.names: list[str] = []
        self.pickups: list[str] = []
        self.pupils: list[str] = []

    def add(
        self, number: str, holder: str, group: str, grade: str = "", room: str = "", last: str = "", **more: str
    ) -> None:
        state, duress = more.get("state", ""), more.get("duress", "")
        self.people.append(f"{number},{holder},{group},{grade},{room},{last},{state},{duress}")

    def fill(self) -> None:
        self._pupils()
        self._staff()
        self._guardians()
        self._others()

    def _pupils(self) -> None:
        number = 0
        for grade in range(1, GRADES + 1):
            for room in range(1, CLASSES + 1):
                for _ in range(PUPILS):
                    number += 1
                    holder = f"pupil-{number:04d}"
                    self.pupils.append(holder)
                    self.add(card(0x02, number), holder, "pupil", str(grade), f"{grade}-{room}", "2027-07-09")
                    self.names.append(f"{holder},{name(number)}")

    def _staff(self) -> None:
        self.add("0100A1B2C4", "staff-1", "staff")
        self.names.append("staff-1,老师一号")
        for number in range(2, 93):
            self.add(card(0x03, 0x1000 + number), f"staff-{number}", "staff", duress="是" if number == 92 else "")
            self.names.append(f"staff-{number},{name(5000 + number)}老师")
        self.add("0100A1B2C3", "guard-1", "guard")
        for number in range(2, 7):
            self.add(card(0x01, number), f"guard-{number}", "guard")
        self.names += [f"guard-{number},保安{NUMBERS[number]}号" for number in range(1, 7)]

    def _guardians(self) -> None:
        """One guardian for each of the 400 youngest, some with two children."""
        young = self.pupils[:400]
        number = 0
        while young:
            number += 1
            holder = f"guardian-{number:04d}"
            count = 2 if self.rng.random() < 0.15 and len(young) > 1 else 1
            children, young = young[:count], young[count:]
            self.add(card(0x05, number), holder, "guardian", last="2027-07-09")
            self.pickups.append(f"{holder},{';'.join(children)}")
            self.names.append(f"{holder},{name(7000 + number)}")

    def _others(self) -> None:
        for number in range(1, 9):
            self.add(card(0x04, 0x100 + number), f"contractor-{number + 1}", "contractor", last="2026-12-31")
        self.add(card(0x02, 0x0F000001), "pupil-0007", "pupil", "1", "1-1", "2027-07-09", state="挂失")
        for number in range(1, 13):
            self.add(card(0x06, number), f"vehicle-{number}", "vehicle", last="2027-07-09")
        self.add(card(0x07, 1), "bus-1", "bus", last="2027-07-09")


def people(school: School) -> str:
    return "卡号,编号,组别,年级,班级,截止日期,状态,胁迫卡\n" + "\n".join(school.people) + "\n"


def slips(school: School) -> str:
    rows = ["编号,学生,开条人,日期,起,止,家长接"]
    day = date(2026, 9, 14)
    for number in range(1, 25):
        pupil = school.rng.choice(school.pupils)
        escorted = "是" if int(pupil[-4:]) <= 400 else "否"
        rows.append(f"q{number:03d},{pupil},staff-{school.rng.randrange(2, 90)},{day},09:30,15:00,{escorted}")
        day += timedelta(days=3)
        while not chinese_calendar.is_workday(day):
            day += timedelta(days=1)
    return "\n".join(rows) + "\n"


def passes() -> str:
    rows = ["编号,车道,起,止,星期"]
    rows += [f"vehicle-{number},main,06:30,19:00,1-5" for number in range(1, 13)]
    rows.append("bus-1,main,06:40,07:50,1-5")
    return "\n".join(rows) + "\n"


def roster() -> str:
    rows = ["岗位,保安,起,止,星期"]
    for number, (start, end) in enumerate((("07:00", "15:00"), ("15:00", "23:00"), ("23:00", "07:00")), 1):
        rows.append(f"gatehouse,guard-{number},{start},{end},")
        rows.append(f"gatehouse,guard-{number + 3},{start},{end},")
    rows.append("gate-post,guard-4,07:00,08:10,1-5")
    rows.append("gate-post,guard-5,15:30,18:10,1-5")
    return "\n".join(rows) + "\n"


def calendar() -> str:
    parts = [
        f'first = {FIRST}\nlast = {LAST}\nvacation = "vacation"\n',
        "[weekdays]\n"
        + "".join(
            f'{day} = "{"week" if at < 5 else "weekend"}"\n'
            for at, day in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
        ),
    ]
    parts += [f'[[term]]\nfirst = {first}\nlast = {last}\nlabel = "{label}"\n' for first, last, label in TERMS]
    special = {day: ("exam", "期末考试" if day.month == 1 else "期中考试") for day in EXAMS}
    special |= {day: ("half", label) for day, label in HALF_DAYS}
    special |= _holidays()
    for day, (plan, label) in sorted(special.items()):
        parts.append(f'[[special]]\ndate = {day}\nplan = "{plan}"\nlabel = "{label}"\n')
    return "\n".join(parts)


def _holidays() -> dict[date, tuple[str, str]]:
    """The State Council's days off and swapped workdays in term time of 2026; 2027 has no notice yet."""
    found: dict[date, tuple[str, str]] = {}
    day = FIRST
    while day <= date(2026, 12, 31):
        off, holiday = chinese_calendar.get_holiday_detail(day)
        word = HOLIDAY_WORDS.get(holiday or "", holiday or "")
        if off and holiday:
            found[day] = ("weekend", word)
        elif not off and day.weekday() >= 5:
            found[day] = ("week", f"{word}调休上班")
        day += timedelta(days=1)
    return found


PLANS = """\
# The days of the school. A window says who may pass which way while it runs.

[[plan]]
id = "week"
label = "平日"

[[plan.window]]
kind = "arrival"
label = "早到校"
start = "06:50"
end = "08:00"
peak = true
bollards = "up"
lanes = ["main"]
[[plan.window.passage]]
direction = "in"
groups = ["pupil", "guardian", "contractor"]

[[plan.window]]
kind = "class"
label = "上午课"
start = "08:00"
end = "11:50"
[[plan.window.passage]]
direction = "in"
groups = ["contractor"]

[[plan.window]]
kind = "lunch"
label = "午休"
start = "11:50"
end = "13:30"
[[plan.window.passage]]
direction = "both"
groups = ["contractor"]

[[plan.window]]
kind = "class"
label = "下午课"
start = "13:30"
end = "15:40"
[[plan.window.passage]]
direction = "in"
groups = ["contractor"]

[[plan.window]]
kind = "dismissal"
label = "一二年级放学"
start = "15:40"
end = "16:10"
peak = true
bollards = "up"
lanes = ["main"]
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
grades = ["1", "2"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

[[plan.window]]
kind = "dismissal"
label = "三四年级放学"
start = "16:10"
end = "16:40"
peak = true
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
grades = ["3", "4"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

[[plan.window]]
kind = "dismissal"
label = "五六年级放学"
start = "16:40"
end = "17:10"
peak = true
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
grades = ["5", "6"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

[[plan.window]]
kind = "care"
label = "课后服务"
start = "17:10"
end = "18:10"
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]

[[plan.window]]
kind = "night"
label = "夜间"
start = "20:00"
end = "24:00"
doors = { wicket = "closed" }

[[plan]]
id = "exam"
label = "考试日"

[[plan.window]]
kind = "arrival"
label = "早到校"
start = "06:50"
end = "08:00"
peak = true
[[plan.window.passage]]
direction = "in"
groups = ["pupil", "guardian"]

[[plan.window]]
kind = "exam"
label = "考试"
start = "08:00"
end = "15:00"

[[plan.window]]
kind = "dismissal"
label = "考后离校"
start = "15:00"
end = "16:30"
peak = true
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

[[plan]]
id = "half"
label = "半天"

[[plan.window]]
kind = "arrival"
label = "早到校"
start = "06:50"
end = "08:00"
peak = true
[[plan.window.passage]]
direction = "in"
groups = ["pupil", "guardian"]

[[plan.window]]
kind = "class"
label = "上午课"
start = "08:00"
end = "11:30"

[[plan.window]]
kind = "dismissal"
label = "中午离校"
start = "11:30"
end = "12:30"
peak = true
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

[[plan]]
id = "snow"
label = "雪天停课"

[[plan.window]]
kind = "open"
label = "停课离校"
start = "00:00"
end = "24:00"
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
[[plan.window.passage]]
direction = "both"
groups = ["guardian"]

# For the demo's story: class at whatever hour it is played.
[[plan]]
id = "demo-class"
label = "演示：全天上课"

[[plan.window]]
kind = "class"
label = "上课"
start = "00:00"
end = "24:00"

[[plan]]
id = "weekend"
label = "休息日"

[[plan.window]]
kind = "night"
label = "全天关闭"
start = "00:00"
end = "24:00"
doors = { wicket = "closed" }

[[plan]]
id = "vacation"
label = "假期"

[[plan.window]]
kind = "night"
label = "全天关闭"
start = "00:00"
end = "24:00"
doors = { wicket = "closed" }
"""

POLICY = """\
# Who belongs to the school, and the school's own rules. Doors, lanes and readers are those of the box's site file.
site = "dongfang-primary"
box = "*"

[[group]]
id = "pupil"
kind = "pupil"
doors = ["wicket", "turnstile"]

[[group]]
id = "staff"
kind = "staff"
doors = ["wicket", "turnstile"]
lanes = ["main"]

[[group]]
id = "guard"
kind = "guard"
doors = ["wicket", "turnstile", "gatehouse"]
lanes = ["main", "service"]

[[group]]
id = "guardian"
kind = "guardian"
doors = ["wicket", "turnstile"]

[[group]]
id = "contractor"
kind = "contractor"
doors = ["wicket"]

[[group]]
id = "vehicle"
kind = "vehicle"
lanes = ["main"]

[[group]]
id = "bus"
kind = "bus"
lanes = ["main"]

[[post]]
id = "gatehouse"
label = "门卫室"
reader = "guard"
always = true
confirm_min = 120

[[post]]
id = "gate-post"
label = "护学岗"
reader = "guard"
peak = true

[[pickup_window]]
start = "11:50"
end = "18:10"

[rules]
passback = "soft"
pair_s = 60
patrol_readers = ["guard"]
patrols_a_day = 5
"""


def files() -> dict[str, str]:
    """File name → text."""
    school = School()
    school.fill()
    return {
        "people.csv": people(school),
        "names.csv": "编号,姓名\n" + "\n".join(school.names) + "\n",
        "pickups.csv": "家长,学生\n" + "\n".join(school.pickups) + "\n",
        "slips.csv": slips(school),
        "passes.csv": passes(),
        "roster.csv": roster(),
        "calendar.toml": calendar(),
        "plans.toml": PLANS,
        "policy.toml": POLICY,
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in files().items():
        (FOLDER / file).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
