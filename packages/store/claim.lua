-- Claims one attempt at a send. Only who holds a claim may call the provider.
--
-- KEYS[1] verification hash
-- KEYS[2] stopped      string, there while sending is stopped
-- KEYS[3] turn         string: which send this token was given, where it is another than it asked for
-- ARGV    send, fencing token (new for each claim), prefix of suppression keys,
--         the line to move to when its own is none of policy.lines, or ''
--
-- Replies {'claimed', sealed number and code, locale, channel, attempt (1, 2, ...), ms left until the last moment to
--          submit, ms since the first attempt began that may have left (-1: none may), number's tag, line,
--          verification's key, send, ms until the one that was asked for is to be looked at again (-1: it is this one),
--          sealed context or '', our number that may have been sent from or '', explain as start.lua, why the attempts
--          right before this one were busy or '', how many of them, ms since the send was ordered}
--         {'wait', ms}: another worker holds it, or its time or its turn has not come; look again then
--         {'closed', why[, refusal, name of the limit[, reason]]}: nothing is to be done any more: gone | its state in
--         the ledger; what refused a second message; and why the send has ended here, unsent
--         {'no_line', number's tag, channel}: its line is none of policy.lines; ask again with one that is
--
-- At most policy.submissions_max messages may ever have left for one send; none leaves after the deadline, an
-- approval, a cancellation, a newer send or a STOP of the number. An attempt whose lease ran out may have left: it
-- counts as unknown, and another one waits for its receipt as long as after any unknown one.
--
-- A second message is one more on the bill: it is counted when it is claimed, in every limit that is shared, and where one
-- of those that block has no room the send stays unknown (docs/decisions/0022).
--
-- A claim is given only when a message may leave its number now (pacing.lua), however many workers ask. While more wait
-- than may leave, whoever's turn it is gives it to the code that has longest to live, which is then what is claimed
-- (docs/decisions/0014).
--@include clock.lua
--@include meters.lua
--@include ledger.lua
--@include gate.lua
--@include pacing.lua
--@include second.lua
--@include claiming.lua

local asked_key, stopped, turn = unpack(KEYS)
local asked_send, token, suppressions, other_line = unpack(ARGV)
local now = now_ms()
-- Entries of a line that are looked at for one that is due; beyond them whoever asks takes its turn itself.
local CANDIDATES_MAX = 20

local function look(key, send) return look_at(key, send, token, suppressions, now) end

local function claimed(s, attempt, again_ms)
  local fields = redis.call('HMGET', s.key, 'sealed', 'locale', 'context')
  local left_ms, left_from = may_have_left(s, attempt, now)
  local busy_why, busy_count = busy_before(s, attempt)
  return {
    'claimed', fields[1], fields[2], s.channel, attempt, s.deadline - now, left_ms,
    s.to_tag, s.line, s.key, s.send, again_ms, fields[3] or '', left_from, s.second and explain_passage(s.second) or '',
    busy_why, busy_count, now - s.at,
  }
end

local asked = look(asked_key, asked_send)
if asked.mine then return claimed(asked, asked.attempts, -1) end
local given = redis.call('GET', turn)
if given then
  local _, key, send = read_entry(given)
  local s = look(key, send)
  if s.mine then return claimed(s, s.attempts, 0) end
end
if asked.no then return asked.no end
if redis.call('EXISTS', stopped) == 1 then return { 'wait', policy.stopped_retry_ms } end

if not policy.lines[asked.line] then
  if other_line == '' then return { 'no_line', asked.to_tag, asked.channel } end
  redis.call('HSET', asked_key, 'line', other_line)
  if asked.line then remove_from(asked.line, asked_key, asked_send, asked.segments) end
  asked.line = other_line
end
local line = asked.line
local pace, segment_ms = policy.lines[line].pace, policy.lines[line].segment_ms
local busy = busy_until(pace, now)

-- ms until the send that was asked for may leave, those with longer to live going first.
local function own_wait()
  local ahead = redis.call('ZCOUNT', line, '(' .. asked.deadline, '+inf')
  return pace_wait(busy, segment_ms, ahead, asked.segments, now)
end

-- The send that has longest to live of those that could leave, if that is another than was asked for.
local function find_fresher()
  local longer = '(' .. asked.deadline
  local last
  for _, entry in ipairs(redis.call('ZRANGE', line, '+inf', longer, 'BYSCORE', 'REV', 'LIMIT', 0, CANDIDATES_MAX)) do
    local segments, key, send = read_entry(entry)
    if key .. send ~= last then
      local s = look(key, send)
      if not s.no and not s.mine then return s end
      if s.no and s.no[1] == 'closed' then remove_from(line, key, send, segments) end
    end
    last = key .. send
  end
  return nil
end

local function take(s)
  if s.second then count_passage(s.second, false) end
  take_pace(pace, busy, segment_ms, s.segments)
  busy = busy + s.segments * segment_ms
  remove_from(line, s.key, s.send, s.segments)
  local attempts = s.attempts + 1
  move_send(s.key, s.send, 'submitting', now, 'token', token, 'lease', now + policy.lease_ms,
    'attempts', attempts, 'submitted', s.submitted + 1)
  note_claim(s.key, s.send, attempts, now - s.at, policy.lines[line].number)
  redis.call('HDEL', s.key, send_field(s.send, 'retry'))
  look_again_at(s.agenda, s.id, now + policy.lease_ms, now)
  return attempts
end

-- When to look at it again, as far as can be told; it stays in its line until then.
local function wait_for_turn()
  local ms = math.min(own_wait(), policy.turn_longest_ms, asked.deadline - now)
  ms = math.max(1, math.ceil(ms))
  look_again_at(asked.agenda, asked.id, now + ms + policy.sweep_after_ms, now)
  return ms
end

if own_wait() <= 0 then return claimed(asked, take(asked), -1) end
join_line(line, asked_key, asked_send, asked.segments, asked.deadline)
redis.call('ZREMRANGEBYSCORE', line, '-inf', now)
if pace_wait(busy, segment_ms, 0, 1, now) > 0 then return { 'wait', wait_for_turn() } end
local first = find_fresher() or asked
if pace_wait(busy, segment_ms, 0, first.segments, now) > 0 then return { 'wait', wait_for_turn() } end
if first == asked then return claimed(asked, take(asked), -1) end
local attempt = take(first)
redis.call('SET', turn, line_entries(first.key, first.send, 1)[1], 'PX', math.max(1, policy.lease_ms))
return claimed(first, attempt, wait_for_turn())
