-- Lets a message leave that stands in no line, such as the answer to a STOP: at the pace of its number, as codes do.
--
-- KEYS[1] pace         string, see pacing.lua
-- ARGV    segments, ms a segment takes at the number's rate
--
-- Replies {'go'}: it counts as having left
--         {'wait', ms}: ask again then
--@include clock.lua
--@include pacing.lua

local segments, segment_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_ms()
local busy = busy_until(KEYS[1], now)
local wait_ms = pace_wait(busy, segment_ms, 0, segments, now)
if wait_ms > 0 then return { 'wait', math.ceil(wait_ms) } end
take_pace(KEYS[1], busy, segment_ms, segments)
return { 'go' }
