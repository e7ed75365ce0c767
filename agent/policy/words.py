"""What is wrong with a policy, in Chinese: the sentences that `sources`, `tables`, `values`, `bundle`, `store` and the
core's parser say in English, each with its translation.

They stay English where they are made, in records and on the wire; whoever reads them at a terminal may have the other
language. `{}` stands for what is quoted, in the order in which both sentences name it, unless numbered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from agent.core.policy import Contradiction

ZH: Mapping[str, str] = {
    # ── the office's files ──
    "there is no part named “{}”": "没有名为“{}”的部分",
    "the parts are: {}": "可用的部分：{}",
    "this file is missing": "缺少该文件",
    "copy it from the example and fill it in": "请从示例复制并填写",
    "{} is not there, and this may be meant for it": "没有 {}，该文件可能就是它",
    "save it as {}": "请另存为 {}",
    "export everybody's cards into it": "请把所有人的卡导出到该文件",
    "there is nobody in this table": "表中没有任何人",
    "export everybody's cards, one a line": "请导出所有人的卡，每行一张",
    "this file is not UTF-8": "该文件不是 UTF-8 编码",
    "save it as UTF-8": "请另存为 UTF-8",
    "cannot be read: {}": "无法读取：{}",
    "check the file and its rights": "请检查该文件及其权限",
    "this is not TOML: {}": "不符合 TOML 格式：{}",
    'look for quotes that are not ", brackets and commas that are missing, [x] instead of [[x]], dates like 2026-9-1': (
        '请检查该行：引号应为英文 "，括号和逗号是否缺失，[x] 是否应为 [[x]]，日期应写作 2026-09-01'
    ),
    "site is missing": "缺少 site（学校代号）",
    'write site = "…", as in the site file of the box': '请写 site = "…"，与门禁箱站点文件中的一致',
    "there is no day plan in this file": "该文件中没有任何日程",
    "copy one from the example: [[plan]]": "请从示例复制一个：[[plan]]",
    "there is no day of the week named “{}”": "没有名为“{}”的星期",
    "the days are: {}": "星期写作：{}",
    "there is no key “{}” here": "此处没有“{}”这一项",
    "write {}, without the s": "请写 {}，末尾不加 s",
    "{} may be there several times": "{} 可以有多个",
    "write [[…{}]], with two brackets": "请用双方括号写 [[…{}]]",
    "{} is there twice (first in {})": "{} 出现两次（首次在 {}）",
    "remove one of the two": "请删除其中一个",
    "{} is empty": "{} 为空",
    "fill it in, or remove the line": "请填写，或删除该行",
    "“{}” is no state of a card": "“{}”不是卡的状态",
    "leave it empty, or write 停用 or 挂失": "请留空，或写 停用 或 挂失",
    "the holder is no code that people.csv could have": "该编号不可能出现在 people.csv 中",
    "look whether the two columns are swapped": "请检查两列是否颠倒",
    "this is a pipe, a device or a socket, and no file": "这是管道、设备或套接字，不是文件",
    # ── tables ──
    "the table is empty": "表格为空",
    "write the headings in its first line": "请在第一行写列标题",
    "this line is no row: {}": "该行无法读取：{}",
    "save the table as CSV": "请另存为 CSV",
    "is far too large for a table": "文件过大，不像一张表",
    "export only this school's people": "请只导出本校人员",
    "is a spreadsheet, not a table of text": "是电子表格，不是文本表格",
    "in Excel: save as “CSV UTF-8”": "请在 Excel 中另存为“CSV UTF-8”",
    "is neither UTF-8 nor GB18030": "既不是 UTF-8，也不是 GB18030 编码",
    "there is no column “{}”": "没有名为“{}”的列",
    "remove it, or write its heading as one of: {}": "请删除该列，或将标题改为以下之一：{}",
    "the column “{}” is there twice": "“{}”列出现两次",
    "the column {} is missing": "缺少 {} 列",
    "add a column {}": "请添加 {} 列",
    "there is a value without a heading: “{}”": "有一个值没有列标题：“{}”",
    "give the column a heading, or remove it": "请为该列加标题，或删除该值",
    "a cell runs from here to line {}": "一个单元格从这里一直延伸到第 {} 行",
    'a quotation mark (") has no partner there: remove it, or put the cell on one line': (
        '该处引号 (") 不成对：请删除，或将单元格写在一行内'
    ),
    # ── values ──
    "“{}” is no date": "“{}”不是日期",
    "write it as 2026-09-01": "请写作 2026-09-01",
    "“{}” is no time of day": "“{}”不是时间",
    "{}: “{}” is no time of day": "{}：“{}”不是时间",
    "write it as 07:30": "请写作 07:30",
    "“{}” is neither yes nor no": "“{}”既不是“是”也不是“否”",
    "write 是 or 否": "请写 是 或 否",
    "“{}” is no reason for leave": "“{}”不是请假事由",
    "write 病假, 事假 or 其他: other words could name somebody": "请写 病假、事假 或 其他：其他文字可能泄露姓名",
    "“{}” is no list of weekdays": "“{}”不是星期",
    "write 1-5, or 1;3;5 with Monday as 1": "请写 1-5 或 1;3;5，星期一为 1",
    "“{}” was a card number before a spreadsheet rounded it": "“{}”原是卡号，被电子表格四舍五入了",
    "format the column as text": "请将该列设为文本格式",
    "“{}” is no card number of this reader": "“{}”不是本读卡器的卡号",
    "write its ten hex digits, zeros in front included; format the column as text": (
        "请写十位十六进制卡号，含前面的 0；将该列设为文本格式"
    ),
    # ── entries ──
    "{} is missing": "缺少 {}",
    "the keys are: {}": "可用的项：{}",
    "{}: {} is not allowed": "{}：不允许 {}",
    "write one of: {}": "请写以下之一：{}",
    "{} must be a text": "{} 必须是文字",
    'write it in quotes, "1" for example': '请加引号，例如 "1"',
    "{} must be a whole number": "{} 必须是整数",
    "write it without quotes, 5 for example": "请不加引号，例如 5",
    "{} must be yes or no": "{} 必须是 true 或 false",
    "write true or false, without quotes": "请写 true 或 false，不加引号",
    "{} must be a list": "{} 必须是列表",
    'write it in brackets, ["1", "2"] for example': '请用方括号，例如 ["1", "2"]',
    "{} must be a table": "{} 必须是表",
    "{} must be {} values and has {}": "{} 应有 {} 个值，现有 {} 个",
    "write each of them": "请逐个写出",
    "write it as docs/policy.md shows": "请按 docs/policy.md 的写法",
    # ── contradictions ──
    "there is no {} named '{}'": "没有名为“{1}”的{0}",
    "name one of: {}": "请写以下之一：{}",
    "the plan {} is there twice (first in {})": "日程 {} 出现两次（首次在 {}）",
    "the group {} is there twice (first in {})": "组别 {} 出现两次（首次在 {}）",
    "the zone {} is there twice (first in {})": "区域 {} 出现两次（首次在 {}）",
    "the post {} is there twice (first in {})": "岗位 {} 出现两次（首次在 {}）",
    "card {} is there twice (first in {})": "卡 {} 出现两次（首次在 {}）",
    "the leave slip {} is there twice (first in {})": "请假条 {} 出现两次（首次在 {}）",
    "the pick-up list of {} is there twice (first in {})": "{} 的接送名单出现两次（首次在 {}）",
    "write all pupils of this guardian on one line, apart by ;": "请把该家长的学生写在一行，用 ; 分隔",
    "the pass of {} is there twice (first in {})": "{} 的出入证出现两次（首次在 {}）",
    "a plan for {} is there twice (first in {})": "{} 有两个日程（首次在 {}）",
    "the calendar ends before it starts": "校历的结束早于开始",
    "the term {} ends before it starts": "学期 {} 的结束早于开始",
    "the window {} of {} ends before it starts": "{1} 的时段 {0} 结束早于开始",
    "the window {} of {} leaves the day": "{1} 的时段 {0} 超出一天",
    "the validity of card {} ends before it starts": "卡 {} 的有效期结束早于开始",
    "the leave slip {} ends before it starts": "请假条 {} 的结束早于开始",
    "the pick-up window ends before it starts": "接送时段的结束早于开始",
    "the pick-up window leaves the day": "接送时段超出一天",
    "the pass of {} ends before it starts": "{} 的出入证结束早于开始",
    "the pass of {} leaves the day": "{} 的出入证超出一天",
    "swap or correct its two times": "请对调或更正两个时间",
    "write times from 00:00 to 24:00": "时间应在 00:00 到 24:00 之间",
    "{} lies outside the calendar ({} to {})": "{} 超出校历（{} 至 {}）",
    "correct the date, or the calendar's first and last": "请更正日期，或校历的 first 和 last",
    "the rule for weekdays has no day plan for {}": "星期规则中 {} 没有日程",
    'write {} = "…" there, with the name of a day plan': '请在该处写 {} = "…"，填日程名称',
    "{} and {} of {} overlap and disagree: door {} is {} in one and {} in the other": (
        "{2} 的 {0} 与 {1} 重叠且矛盾：门 {3} 一处为 {4}，另一处为 {5}"
    ),
    "let one end where the other begins, or agree on the door": "请让前一时段在后一时段开始时结束，或统一门的规则",
    "{} and {} of {} overlap and disagree: the bollards are {} in one and {} in the other": (
        "{2} 的 {0} 与 {1} 重叠且矛盾：升降柱一处为 {3}，另一处为 {4}"
    ),
    "let one end where the other begins, or agree on the bollards": "请让前一时段在后一时段开始时结束，或统一升降柱",
    "{} is no pseudonym: a name, an ID number or a phone number would get into every record": (
        "{} 不是代号：姓名、证件号或电话号码会进入每条记录"
    ),
    "write a code of Latin letters and digits, and the name into names.csv": "请写字母和数字的代号，姓名写入 names.csv",
    "card '{}' has no format": "卡“{}”没有卡型",
    "write it as <format>:<hex>": "请写作 <卡型>:<十六进制>",
    "{} is not a {} that the credentials know": "people.csv 中没有 {1} {0}",
    "add a card for this holder, or correct the holder": "请为该编号添加卡，或更正编号",
    "{} is a {}, not a {}": "{} 是 {}，不是 {}",
    "correct the holder": "请更正编号",
    "patrols are looked at {} o'clock": "巡查检查时间为 {} 点",
    "write patrol_hours as full hours from 0 to 23": "patrol_hours 应为 0 到 23 的整点",
    "the panic test is due after {} days and overdue after {}": "报警测试 {} 天后到期，{} 天后逾期",
    "let panic_test_due_days be at least 1 and no more than panic_test_days": (
        "panic_test_due_days 至少为 1，且不大于 panic_test_days"
    ),
    "{} cannot be {}": "{} 不能为 {}",
    "write a number from {} to {}": "请写 {} 到 {} 之间的数",
    "{} is a {} here and a {} in {}": "{0} 在此处是{1}，在 {3} 是{2}",
    "give each of the two a code of its own: a pupil with both cards could leave in class hours": (
        "请为两者各用一个编号：学生若有两张卡，上课时间也能离校"
    ),
    "{} is in grade {} here and in {} in {}": "{0} 在此处是 {1} 年级，在 {3} 是 {2} 年级",
    "write the same grade for both cards, or correct the holder": "请为两张卡写同一年级，或更正编号",
    "{} of {} is for grade {}, and no pupil is in it": "{1} 的 {0} 针对 {2} 年级，但没有该年级的学生",
    "no window of any plan lets out grade {}: pupils affected {}": "没有任何时段放 {} 年级离校：涉及学生 {} 名",
    "correct the grade here or in the day plans; windows are for: {}": "请更正此处或日程中的年级；已有时段的年级：{}",
    "correct the grade here or in {}; pupils are in: {}": "请更正此处或 {} 中的年级；现有学生的年级：{}",
    "{} stands in the roster and has no guard's card": "值班表中的 {} 没有保安卡",
    "add the guard to the credentials, or correct the roster": "请为其添加保安卡，或更正值班表",
    "this policy is for {}; this box is {}": "该规则属于 {}；本箱是 {}",
    "make the bundle for this box": "请为本箱制作规则包",
    "has mistakes": "有错误",
    "see menwei check": "请运行 menwei check",
    # ── bundles ──
    "this file is far too large for a bundle": "文件过大，不是规则包",
    "this is not a policy bundle": "这不是规则包",
    "take the file that menwei policy make wrote": "请使用 menwei policy make 生成的文件",
    "the {} inside is damaged or cut short": "其中的 {} 已损坏或不完整",
    "copy the bundle once more": "请重新复制规则包",
    "this box knows no key that may sign policies": "本箱没有可用于验证规则的公钥",
    "name one in [policy] keys of the site file": "请在站点文件 [policy] keys 中指定",
    "the signature is damaged": "签名已损坏",
    "the signature is wrong: it was made with a key this box does not know": "签名不对：本箱不认识所用的密钥",
    "sign it with the office's key, or name that key in [policy] keys of the site file": (
        "请用学校办公室的密钥签名，或在站点文件 [policy] keys 中指定该密钥"
    ),
    "what the bundle says of itself cannot be read: {}": "规则包的说明无法读取：{}",
    "what the bundle says of itself makes no sense": "规则包的说明不合理",
    "the policy inside is far too large or cut short": "其中的规则过大或不完整",
    "there is no policy inside": "其中没有规则",
    "the policy inside cannot be read: {}": "其中的规则无法读取：{}",
    "make the bundle anew": "请重新制作规则包",
    "the card does not take it: {}": "存储卡无法写入：{}",
    "check the card, then try again": "请检查存储卡后重试",
    "version {} is older than version {}, which is in force": "版本 {} 早于现行版本 {}",
    "version {} is in force already, with other contents": "版本 {} 已在执行，但内容不同",
    "make it with a higher one: menwei policy make … --version {}": (
        "请用更高的版本制作：menwei policy make … --version {}"
    ),
    "the bundle and the policy inside disagree": "规则包的说明与其中的规则不一致",
    "make it anew": "请重新制作",
    "make it anew, with the people of this school alone": "请只用本校人员重新制作",
    "there are {} cards, and a box takes {} at most": "共有 {} 张卡，一个门禁箱最多 {} 张",
    "give this box the people of its own school alone": "请只给本箱本校的人员",
    "{} is missing or not a number": "缺少 {}，或不是数字",
    "{} is missing or not a text": "缺少 {}，或不是文字",
    "{} is not a list": "{} 不是列表",
    "there is no calendar": "没有校历",
    "add the calendar's file to the folder and make the bundle anew": "请把校历文件放入文件夹并重新制作",
    "the policy has no part named '{}'": "规则中没有名为“{}”的部分",
    "remove it, or see docs/policy.md for the name": "请删除，或按 docs/policy.md 更正名称",
    "check the card": "请检查存储卡",
    "see the journal": "请查看日志",
}  # fmt: skip
# What is said within a sentence.
_NOUNS: Mapping[str, str] = {
    "day plan": "日程", "group": "组别", "zone": "区域", "post": "岗位", "door": "门", "lane": "车道",
    "presence reader": "到岗读卡器", "pupil": "学生", "guardian": "家长", "vehicle or bus": "车辆或校车",
    "staff": "教职工", "guard": "保安", "contractor": "外包人员", "vehicle": "车辆", "bus": "校车", "visitor": "访客",
    "responder": "救援人员", "the holder": "编号", "the issuer": "开条人", "the leave slip's number": "请假条编号",
    "none": "无",
}  # fmt: skip

SUMMARY: Mapping[str, tuple[str, str]] = {
    "en": ("1 mistake: nothing was changed", "{} mistakes: nothing was changed"),
    "zh_CN": ("1 处错误：未作任何更改", "共 {} 处错误：未作任何更改"),
}
REMARK = {"en": "look at this: ", "zh_CN": "请注意："}
MORE = {"en": "… and {} more", "zh_CN": "……另有 {} 处"}
MADE = {"en": "{}: version {}, {} cards, {} day plans", "zh_CN": "{}：版本 {}，{} 张卡，{} 个日程"}
SHOWN = {
    "en": """version {version} for {box}
calendar {first} to {last}, {special} special days
day plans: {plans}
cards: {cards}
{slips} leave slips, {pickups} pick-up lists, {passes} vehicle passes""",
    "zh_CN": """版本 {version}，适用于 {box}
校历 {first} 至 {last}，{special} 个特殊日
日程：{plans}
卡：{cards}
请假条 {slips} 张，接送名单 {pickups} 份，车辆通行证 {passes} 张""",
}
IN_FORCE = {"en": "version {} is in force", "zh_CN": "版本 {} 已生效"}


def told(one: Contradiction, language: str) -> Contradiction:
    """The same in this language. A sentence nobody translated stays as it is."""
    if language == "en":
        return one
    return Contradiction(one.source, _translated(one.what), _translated(one.cure))


def _translated(text: str) -> str:
    for pattern, target in _patterns():
        if match := pattern.fullmatch(text):
            return target.format(*(_NOUNS.get(part, part) for part in match.groups()))
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The longest first: a sentence that is more particular wins."""
    ordered = sorted(ZH, key=lambda text: len(text.replace("{}", "")), reverse=True)
    return tuple((re.compile("(.*?)".join(map(re.escape, text.split("{}"))), re.DOTALL), ZH[text]) for text in ordered)
