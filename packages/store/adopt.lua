-- Puts a sealed tag key into Redis where the one its caller saw still stands, or none does: so of several programs that
-- begin at the same time, or seal anew, one is first and all adopt the same.
--
-- KEYS[1] tag key   string: what numbers are counted under, sealed
-- ARGV    what the caller saw ('' for nothing), what is to stand there instead, its life in ms
--
-- Replies {what stands there now}

local tag_key = KEYS[1]
local seen, sealed, life_ms = unpack(ARGV)
local standing = redis.call('GET', tag_key) or ''
if standing ~= seen then return { standing } end
redis.call('SET', tag_key, sealed, 'PX', life_ms)
return { sealed }
