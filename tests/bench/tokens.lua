-- wrk: grants at a token endpoint. GRANT: machine, introspect, refresh, code. FORM: what stands in every body; TOKENS: a file with
-- one refresh token a line; AUTHORIZE and COOKIE: a request that is answered with a code (consent is remembered).
-- Codes are made 400 at a time and then redeemed; only the time of redeeming counts.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int, moment *);")
local function now()
  local t = ffi.new("moment")
  ffi.C.clock_gettime(1, t)
  return tonumber(t.s) + tonumber(t.ns) / 1e9
end

local grant, form = os.getenv("GRANT"), os.getenv("FORM")
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
local function post(body) return wrk.format("POST", nil, nil, body) end

bad, counted, spent = 0, 0, 0
local values, redeeming, began, spent_before = {}, false, 0, 0
threads = {}
setup = function(thread) table.insert(threads, thread) end

if grant == "machine" or grant == "introspect" then
  wrk.method = "POST"
  wrk.body = form
elseif grant == "refresh" then
  for line in io.lines(os.getenv("TOKENS")) do table.insert(values, line) end
  request = function() return post(form .. "&grant_type=refresh_token&refresh_token=" .. (table.remove(values, 1) or "none")) end
  response = function(status, headers, body)
    local token = body:match('"refresh_token":"([^"]+)"')
    if status ~= 200 or not token then bad = bad + 1 else table.insert(values, token) end
  end
else
  request = function()
    if not redeeming and #values >= 400 then redeeming, began, spent_before = true, now(), spent end
    if #values == 0 then redeeming = false end
    if redeeming then return post(form .. "&grant_type=authorization_code&code=" .. table.remove(values)) end
    return wrk.format("GET", os.getenv("AUTHORIZE"), { Cookie = os.getenv("COOKIE") })
  end
  response = function(status, headers, body)
    local to = headers["Location"] or headers["location"]
    local code = to and to:match("[?&]code=([^&]+)")
    if code then table.insert(values, code)
    elseif status == 200 and body:find('"access_token"', 1, true) then
      counted = counted + 1
      spent = spent_before + now() - began
    else bad = bad + 1 end
  end
end

done = function(summary, latency)
  local errors = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  local rate = summary.requests / (summary.duration / 1e6)
  for _, thread in ipairs(threads) do
    errors = errors + thread:get("bad")
    if grant == "code" then rate = thread:get("counted") / math.max(thread:get("spent"), 0.001) end
  end
  io.write(string.format("RESULT %.0f %.3f %.3f %d\n", rate, latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors))
end
