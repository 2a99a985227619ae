// Opens N idle subscriptions of a modern client and prints the anonymous memory of the server before and after.
// node listens.mjs URL KEY PID N
import http from "node:http";
import { readFileSync } from "node:fs";

const [url, key, pid, count] = process.argv.slice(2);
const agent = new http.Agent({ maxSockets: Infinity, keepAlive: true });
const anonymousKiB = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} };

/** One stream, when its acknowledgement is there. */
function listen(id) {
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

await sleep(500);
const before = anonymousKiB();
const open = [];
for (let i = 0; i < Number(count); i += 100)
  open.push(...await Promise.all(Array.from({ length: Math.min(100, count - i) }, (_, k) => listen(`${i + k}`))));
await sleep(1000);
const after = anonymousKiB();
console.log(`${open.length} ${before} ${after} ${((after - before) / open.length).toFixed(1)}`);
process.exit(0);
