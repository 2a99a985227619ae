// Opens N idle subscriptions of modern clients, fifty with each key, and prints the anonymous memory of the server before and after.
// node listens.mjs URL KEY PID N
import http from "node:http";
import { readFileSync } from "node:fs";

const [url, key, pid, count] = process.argv.slice(2);
const agent = new http.Agent({ maxSockets: Infinity, keepAlive: true });
const anonymousKiB = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} };

async function makeKey(name) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(new URL("/api/tools/API_KEY_CREATE", url), { method: "POST", headers, body: JSON.stringify({ name }) });
  if (!answer.ok) throw new Error(`a key was answered with HTTP ${answer.status}`);
  return (await answer.json()).key;
}

/** One stream, when its acknowledgement is there. */
function listen(id, key) {
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: "subscriptions/listen",
    params: { _meta: meta, notifications: { toolsListChanged: true } } });
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen" };
  return new Promise((resolve, reject) => {
    http.request(url, { method: "POST", agent, headers }, (stream) => {
      if (stream.statusCode !== 200) return reject(new Error(`a stream was answered with HTTP ${stream.statusCode}`));
      stream.on("end", () => { throw new Error("a stream ended that should be idle"); });
      stream.on("data", () => resolve(stream));
    }).on("error", reject).end(body);
  });
}

const keys = [];
while (keys.length * 50 < Number(count)) keys.push(await makeKey(`stream ${keys.length}`));
await sleep(500);
const before = anonymousKiB();
const open = [];
for (const key of keys)
  open.push(...await Promise.all(Array.from({ length: Math.min(50, count - open.length) }, (_, k) => listen(`${open.length + k}`, key))));
await sleep(1000);
const after = anonymousKiB();
console.log(`${open.length} ${before} ${after} ${((after - before) / open.length).toFixed(1)}`);
process.exit(0);
