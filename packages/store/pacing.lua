-- The pace of a sender, kept as one time: until when what has left keeps it busy at its rate (the theoretical arrival
-- time of the generic cell rate algorithm). That may lie policy.burst_ms ahead, so that a few people who ask at once
-- need not wait for each other: in any stretch of time no more leaves than the rate allows for it and that much more.

local function busy_until(pace, now) return math.max(tonumber(redis.call('GET', pace) or 0), now) end

-- ms until `segments` may leave together, after `ahead` others; 0 or less: now. What is longer than a burst leaves once
-- nothing keeps the sender busy.
local function pace_wait(busy, segment_ms, ahead, segments, now)
  local room_ms = policy.burst_ms - math.min(segments * segment_ms, policy.burst_ms)
  return busy + ahead * segment_ms - room_ms - now
end

local function take_pace(pace, busy, segment_ms, segments)
  redis.call('SET', pace, string.format('%.3f', busy + segments * segment_ms), 'PX', policy.code_ttl_ms)
end
