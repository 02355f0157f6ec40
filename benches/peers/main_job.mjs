// The main job by hand, as one would write it in Node.js: a line at a time, JSON.parse, a map of days.
//
//   node main_job.mjs FILE

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

const days = new Map();
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  if (line === "") continue;
  const order = JSON.parse(line);
  if (order.status !== "completed") continue;
  const date = order.orderDate.slice(0, 10);
  const value = order.quantity * order.price;
  const day = days.get(date);
  if (day) {
    day.orders += 1;
    day.revenue += value;
  } else {
    days.set(date, { orders: 1, revenue: value });
  }
}
for (const [date, { orders, revenue }] of days) {
  console.log(JSON.stringify([date, orders, revenue, revenue / orders]));
}
