-- Redis's own time in milliseconds: the one clock every decision is made by.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
