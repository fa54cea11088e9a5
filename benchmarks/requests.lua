-- Requests for wrk. The first argument says which: "ours" and "peer" are orders for our service and
-- for the peer, each with a body of its own: the mix of workload.py, half of them trade. "get" reads
-- one of the paths that follow, at random. Answers with another status than they have are counted.

refused = 0  -- global: done() asks each thread for it
local json = { ["Content-Type"] = "application/json" }
local kind, paths, expected

local function order()
   local bid = math.random() < 0.5
   local crosses = math.random() < 0.5
   local away = crosses and 50 or -math.random(1, 50)  -- ticks
   return math.random(0, 999), math.random(0, 9), bid and "BUY" or "SELL",
      45000 + (bid and away or -away) * 0.01,
      math.random(1, crosses and 100 or 120) / 1000
end

local requests = {}

function requests.ours()
   local body = string.format(
      '{"userId":"user-%04d","asset":"ASSET-%d","type":"%s","price":%.2f,"quantity":%.3f}', order())
   return wrk.format("POST", "/orders", json, body)
end

function requests.peer()
   local user, asset, side, price, quantity = order()
   local body = string.format(
      '{"account":%d,"side":"%s","price":"%.2f","quantity":"%.3f","self_trade_prevention":"none"}',
      user + 1, side:lower(), price, quantity)
   return wrk.format("POST", "/markets/ASSET-" .. asset .. "/orders", json, body)
end

function requests.get()
   return wrk.format("GET", paths[math.random(#paths)])
end

function init(args)
   math.randomseed(os.time())
   kind, paths = args[1], { unpack(args, 2) }
   expected = kind == "ours" and 201 or 200
end

function request()
   return requests[kind]()
end

function response(status)
   if status ~= expected then
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
