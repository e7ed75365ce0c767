// Where everything stands on the drawing: a gate seen from above, campus at the top, street at the bottom.

export const HEIGHT = 660;
export const WALL_Y = 292;
export const STREET_Y = 536;
const LANE = 256, HOUSE = 250, DOOR = 150, MARGIN = 40;

/** Places along a lane, by their height on the drawing. */
export const PLACE_Y = { approach: 470, on_loop: 384, between: WALL_Y, leaving: 200, away: 606 };
export const PLACES = ["approach", "on_loop", "between", "leaving", "away"];

/** {width, lanes: [{lane, x}], house: {x, doors}, doors: [{door, x}]}; x is the middle of each thing. */
export function layout(site) {
  const inHouse = site.doors.filter((door) => !site.readers.some((reader) => reader.door === door.id)).slice(0, 1);
  const walls = site.doors.filter((door) => !inHouse.includes(door));
  const [first, ...others] = site.lanes;
  const row = [
    ...(first ? [{ lane: first, width: LANE }] : []),
    { house: true, width: HOUSE },
    ...walls.map((door) => ({ door, width: DOOR })),
    ...others.map((lane) => ({ lane, width: LANE })),
  ];
  const needed = row.reduce((sum, item) => sum + item.width, 2 * MARGIN);
  const width = Math.max(1000, needed);
  const plan = { width, lanes: [], doors: [], house: null };
  let x = (width - needed) / 2 + MARGIN;
  for (const item of row) {
    const middle = x + item.width / 2;
    if (item.lane) plan.lanes.push({ lane: item.lane, x: middle });
    else if (item.door) plan.doors.push({ door: item.door, x: middle });
    else plan.house = { x: middle, doors: inHouse };
    x += item.width;
  }
  return plan;
}

/** Distance between the middles of a lane's bollards. */
export const spacing = (count) => Math.min(58, 112 / count);
