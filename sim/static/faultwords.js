// Names of devices and faults in both languages. What a fault does is told in English by the simulator itself.

import { t } from "./words.js";

const CLASSES = {
  bus: ["总线", "buses"], lane: ["车道控制器", "lane controllers"], bollard: ["升降柱", "bollards"], sensor: ["车道传感器", "lane sensors"],
  board: ["继电器板与模拟量板", "relay and analogue boards"], button: ["报警按钮", "panic buttons"], door: ["门", "doors"],
  reader: ["读卡器", "readers"], gpio: ["引脚服务", "pin daemon"], gpio_wire: ["单根导线", "single wires"],
};

const KINDS = {
  dead: ["无应答", "answers nothing at all"], unplugged: ["拔掉", "the port or cable is gone"], slow: ["变慢", "slower than it should be"],
  late: ["迟到的应答", "answers after the master's time-out"], garbage: ["乱码", "random bytes in place of the answer"],
  bad_check: ["校验错", "one bit flipped on its way"], truncated: ["半截应答", "half of the answer"], one_byte: ["逐字节慢发", "one byte at a time"],
  wrong_unit: ["应答地址不对", "the answer names another unit"], wrong_transaction: ["事务号为零", "answers with transaction 0"],
  exception: ["回绝", "answers 'no' with a code, 6 = busy"], lying: ["说谎", "tells what is not so"], frozen: ["数据冻结", "tells the state of a while ago"],
  reboot: ["重启", "silent for a while, then nothing remembered"], jammed: ["卡住", "does not move though driven"],
  stuck_switch: ["限位开关卡死", "a limit switch that does not change"], sinks: ["自行下沉", "creeps down by itself"],
  rises_alone: ["自行升起", "rises by itself after a while"], drive: ["驱动故障", "the drive reports a fault code"],
  faulty: ["自报失灵", "knows and says that it is broken"], stuck_occupied: ["一直占用", "always occupied"], stuck_clear: ["一直空闲（漏报）", "always clear: it lies"],
  stuck: ["触点卡死", "the contacts stay as they are"], chatter: ["触点抖动", "the contacts bounce"], cut: ["断线", "the wire is cut"], shorted: ["短路", "the wire is shorted"],
  drift: ["读数漂移", "reads too many millivolts"], stuck_relay: ["继电器粘连", "a relay contact that is welded or dead"],
  contact_stuck: ["门磁卡死", "the door contact does not change"], lock_stuck: ["锁不听命", "the lock does not obey its relay"],
  hung: ["挂起", "takes connections and answers nothing"], restart: ["重启服务", "connections break, outputs fall back to inputs"],
  deaf: ["丢失边沿", "edges are lost; only the level tells"], repeats: ["重复发卡", "sends every card twice"],
};

const pick = (pair, otherwise) => (pair ? pair[t("language") === "English" ? 0 : 1] : otherwise);

export const className = (name) => pick(CLASSES[name], name);
export const kindName = (kind) => (t("language") === "English" ? `${pick(KINDS[kind], kind)} ${kind}` : kind);
export const kindDoes = (kind, does) => (t("language") === "English" ? pick(KINDS[kind], does) : does);

/** "lane:main" with the name that the site gives it. */
export function deviceName(site) {
  const named = new Map([
    ...site.lanes.map((lane) => [`lane:${lane.id}`, lane.name]), ...site.doors.map((door) => [`door:${door.id}`, door.name]),
    ...site.buttons.map((button) => [`button:${button.id}`, button.name]), ...site.readers.map((reader) => [`reader:${reader.id}`, reader.name]),
    ...Object.entries(site.pins).map(([gpio, key]) => [`gpio:${gpio}`, key]),
  ]);
  return (device) => {
    const name = named.get(device);
    return name && name !== device.split(":")[1] ? `${device} · ${name}` : device;
  };
}
