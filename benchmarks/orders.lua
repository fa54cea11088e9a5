-- Orders for wrk, each with a body of its own: the mix of workload.py, half of them trade.
-- Answers other than 201 are counted.

refused = 0  -- global: done() asks each thread for it
local path = "/orders"

function init(args)
   math.randomseed(os.time())
end

function request()
   local bid = math.random() < 0.5
   local crosses = math.random() < 0.5
   local away = crosses and 50 or -math.random(1, 50)  -- ticks
   local price = 45000 + (bid and away or -away) * 0.01
   local body = string.format(
      '{"userId":"user-%04d","asset":"ASSET-%d","type":"%s","price":%.2f,"quantity":%.3f}',
      math.random(0, 999), math.random(0, 9), bid and "BUY" or "SELL", price,
      math.random(1, crosses and 100 or 120) / 1000)
   return wrk.format("POST", path, { ["Content-Type"] = "application/json" }, body)
end

function response(status)
   if status ~= 201 then
      refused = refused + 1
   end
end

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function done(summary, latency)
   local others = 0
   for _, thread in ipairs(threads) do
      others = others + thread:get("refused")
   end
   io.write(string.format(
      '\nRESULT {"requests":%d,"microseconds":%d,"refused":%d,"errors":%d,"p50":%g,"p99":%g}\n',
      summary.requests, summary.duration, others,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
