// Opens N idle event streams and prints the anonymous memory of the server before and after.
// node streams.mjs URL KEY PID N
import http from "node:http";
import { readFileSync } from "node:fs";

const [url, key, pid, count] = process.argv.slice(2);
const agent = new http.Agent({ maxSockets: Infinity, keepAlive: true });
const anonymousKiB = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function request(method, headers, body) {
  return new Promise((resolve, reject) => {
    const rq = http.request(url, { method, agent, headers: { authorization: `Bearer ${key}`, ...headers } }, resolve);
    rq.on("error", reject);
    rq.end(body);
  });
}

const initialize = { jsonrpc: "2.0", id: 1, method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } } };
const answer = await request("POST", { "content-type": "application/json", accept: "application/json, text/event-stream" }, JSON.stringify(initialize));
const session = answer.headers["mcp-session-id"];
answer.resume();
await sleep(500);
const before = anonymousKiB();
const open = [];
for (let i = 0; i < Number(count); i += 50) {
  const batch = Array.from({ length: Math.min(50, count - i) }, () =>
    request("GET", { accept: "text/event-stream", "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" }));
  for (const stream of await Promise.all(batch)) {
    if (stream.statusCode !== 200) throw new Error(`a stream was answered with HTTP ${stream.statusCode}`);
    stream.on("end", () => { throw new Error("a stream ended that should be idle"); });
    stream.resume();
    open.push(stream);
  }
}
await sleep(1000);
const after = anonymousKiB();
console.log(`${open.length} ${before} ${after} ${((after - before) / open.length).toFixed(1)}`);
process.exit(0);
