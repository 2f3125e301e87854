-- Redis's own time in milliseconds: the one clock every decision is made by. In a replay of recorded traffic the time is
-- what stands in a key.
local function now_ms()
  if policy.clock_key then return tonumber(redis.call('GET', policy.clock_key)) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
