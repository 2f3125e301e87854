-- Sliding windows: a list of times, newest first, and limits {max, window_ms, max, window_ms, ...}. The max-th newest
-- time says exactly when there is room again, so no window can be doubled across an edge.

-- 0 when every limit has room, else the time from which all of them have.
local function window_retry_at(key, limits, now)
  local retry_at = 0
  for i = 1, #limits, 2 do
    local time = redis.call('LINDEX', key, limits[i] - 1)
    if time then
      local free_at = tonumber(time) + limits[i + 1]
      if free_at > now and free_at > retry_at then retry_at = free_at end
    end
  end
  return retry_at
end

local function window_add(key, limits, now)
  local max, window_ms = 0, 0
  for i = 1, #limits, 2 do
    max = math.max(max, limits[i])
    window_ms = math.max(window_ms, limits[i + 1])
  end
  redis.call('LPUSH', key, now)
  redis.call('LTRIM', key, 0, max - 1)
  redis.call('PEXPIRE', key, window_ms)
end
