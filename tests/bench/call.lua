-- wrk: one tools/call per request. TOOL, KEY from the environment; the id is the same each time, as a stateless client may do.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
if os.getenv("KEY") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY") end
-- MODERN=1: a request of 2026-07-28; SESSION: one of an initialized session.
local meta = ""
if os.getenv("MODERN") then
  wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
  wrk.headers["Mcp-Method"] = "tools/call"
  wrk.headers["Mcp-Name"] = os.getenv("TOOL") or "echo"
  meta = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},'
elseif os.getenv("SESSION") then
  wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
  wrk.headers["Mcp-Session-Id"] = os.getenv("SESSION")
end
-- Within one session two requests may not wait under the same id.
local function body(id)
  return '{"jsonrpc":"2.0","id":' .. id .. ',"method":"tools/call","params":{' .. meta .. '"name":"' .. (os.getenv("TOOL") or "echo") ..
    '","arguments":{"text":"The quick brown fox"}}}'
end
wrk.body = body(1)
if os.getenv("SESSION") then
  local n = 0
  request = function()
    n = n + 1
    return wrk.format(nil, nil, nil, body(n))
  end
end
done = function(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %.0f %.3f %.3f %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad))
end
