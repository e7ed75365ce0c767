"""A small school's files as an office keeps them."""

from __future__ import annotations

from pathlib import Path

from agent.journal.keys import BoxKey

FILES = {
    "policy.toml": """
site = "dongfang-primary"
box = "*"

[[group]]
id = "pupil"
kind = "pupil"
doors = ["wicket"]

[[group]]
id = "staff"
kind = "staff"
doors = ["wicket", "gatehouse"]

[[group]]
id = "guard"
kind = "guard"
doors = ["wicket", "gatehouse"]

[[group]]
id = "guardian"
kind = "guardian"
doors = ["wicket"]

[[post]]
id = "gatehouse"
reader = "guard"
always = true

[[pickup_window]]
start = "16:00"
end = "17:30"

[rules]
passback = "soft"
""",
    "calendar.toml": """
first = 2026-09-01
last = 2027-07-10
vacation = "closed"
weekdays = { mon = "week", tue = "week", wed = "week", thu = "week", fri = "week", sat = "closed", sun = "closed" }

[[term]]
first = 2026-09-01
last = "2027/1/22"
label = "上学期"

[[special]]
date = 2026-10-01
plan = "closed"
label = "国庆节"
""",
    "plans.toml": """
[[plan]]
id = "week"
label = "平日"

[[plan.window]]
kind = "arrival"
start = "7:00"
end = "08:00"
peak = true
[[plan.window.passage]]
direction = "in"

[[plan.window]]
kind = "class"
start = "08:00"
end = "16:00"
label = "上课"

[[plan.window]]
kind = "dismissal"
start = "16:00"
end = "16:30"
[[plan.window.passage]]
direction = "out"
groups = ["pupil"]
grades = ["1"]

[[plan]]
id = "closed"
""",
    "people.csv": "卡号,编号,组别,年级,班级,截止日期,状态\n"
    "0200000001,pupil-0001,pupil,1,1-1,,\n"
    "0200000002,pupil-0002,pupil,1,1-2,2027-07-10,\n"
    "0300000001,staff-1,staff,,,,\n"
    "0100000001,guard-1,guard,,,,\n"
    "0400000001,guardian-1,guardian,,,,\n",
    "pickups.csv": "家长,学生\nguardian-1,pupil-0001;pupil-0002\n",
    "slips.csv": "编号,学生,开条人,日期,起,止,家长接,事由\nq1,pupil-0001,staff-1,2026-09-21,9:30,11:00,否,病假\n",
    "roster.csv": "岗位,保安,起,止,星期\ngatehouse,guard-1,07:00,19:00,1-5\n",
    "names.csv": "编号,姓名\npupil-0001,赵一一\nstaff-1,钱老师\n",
}


def office(folder: Path, **changes: str | bytes | None) -> Path:
    """The files in `folder`; `changes` replace one (people_csv="…") or leave it out (None)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        changed = changes.get(name.replace(".", "_"), text)
        if isinstance(changed, bytes):
            (folder / name).write_bytes(changed)
        elif changed is not None:
            (folder / name).write_text(changed, "utf-8")
    return folder


def keyed(folder: Path) -> BoxKey:
    """The office's key, in its folder."""
    key = BoxKey.generate()
    (folder / "office.key").write_bytes(key.private_pem())
    return key
