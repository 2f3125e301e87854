-- The line of a sender: what waits to leave from one of our numbers (calls have one of their own). A sorted set; each
-- segment of a waiting send is an entry `SEGMENT KEY SEND` (which of its segments, its verification's key, its number),
-- by the last moment the send may leave. So one count says how much is waiting, the highest entry is the code that has
-- longest to live, and what is too late is in no count: the backlog cannot drift, whatever becomes of a send.
--
-- policy.lines[line]: pace (its key, see pacing.lua), segment_ms (what a segment takes at the sender's rate)

local function line_entries(key, send, segments)
  local entries = {}
  for segment = 1, segments do entries[segment] = segment .. ' ' .. key .. ' ' .. send end
  return entries
end

local function read_entry(entry) return string.match(entry, '^(%d+) (%S+) (%d+)$') end

local function join_line(line, key, send, segments, deadline)
  local scored = {}
  for _, entry in ipairs(line_entries(key, send, segments)) do
    scored[#scored + 1] = deadline
    scored[#scored + 1] = entry
  end
  redis.call('ZADD', line, unpack(scored))
  redis.call('PEXPIRE', line, policy.code_ttl_ms)
end

-- The line a verification's sends wait in, and the segments of each; nil for one of a version that knew no lines.
local function get_line(key)
  local line, segments = unpack(redis.call('HMGET', key, 'line', 'segments'))
  return line, tonumber(segments or 1)
end

local function remove_from(line, key, send, segments)
  redis.call('ZREM', line, unpack(line_entries(key, send, segments)))
end

local function leave_line(key, send)
  local line, segments = get_line(key)
  if line then remove_from(line, key, send, segments) end
end

-- nil when all that waits will have left before `deadline`, else the refusal. Nobody is told to come back at once:
-- those who were refused would be the load.
local function backlog_refusal(line, deadline, now)
  local waiting = redis.call('ZCOUNT', line, '(' .. now, '+inf')
  local late_ms = now + waiting * policy.lines[line].segment_ms - deadline
  if waiting == 0 or late_ms <= 0 then return nil end
  return { 'refused', 'delivery_backlog', math.ceil(math.max(late_ms, policy.backlog_retry_ms)) }
end
