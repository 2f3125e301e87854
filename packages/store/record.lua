-- Records what a claimed attempt came to, while its token still holds.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- KEYS[3] message      string: the send's reference, for a receipt that carries the provider's message id alone
-- ARGV    id, send, fencing token, outcome (accepted | rejected | busy | unknown | found | withheld), provider's message
--         id or '', reason or '', ms until a busy attempt may be made again, provider that was asked or '-', our number
--         or '', how many attempts may be busy for this reason (0: any number), reference, s that the message id leads
--         back to it
--
-- Replies {'recorded', state}: the send has come to rest
--         {'retry', ms}: the send is to be tried again then
--         {'stale'}: another attempt has been claimed meanwhile; only the message id was written
--
-- A receipt may have come first: what it proved is never taken back. An outcome that comes after the lease ran out, and
-- overtaken by nobody, is the truth all the same. One that is recorded again, because the answer was lost, changes
-- nothing and is answered alike.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local key, agenda, message_key = unpack(KEYS)
local id, send, token, outcome, message, reason, wait_ms, provider, from, tries_max, reference, message_s = unpack(ARGV)
local now = now_ms()
if message ~= '' then redis.call('SET', message_key, reference, 'EX', message_s) end
local state, held, submitted, attempts, at, retry =
  get_send(key, send, 'state', 'token', 'submitted', 'attempts', 'at', 'retry')
if held ~= token then return { 'stale' } end
local began, _, noted = get_attempt(key, send, attempts)
if noted then
  if retry and (state == 'queued' or state == 'unknown') then return { 'retry', math.max(0, retry - now) } end
  return { 'recorded', state }
end
local status, expires, sends = unpack(redis.call('HMGET', key, 'status', 'expires', 'sends'))
expires, sends, submitted = tonumber(expires), tonumber(sends), tonumber(submitted)
local lost = state == 'unknown'

-- Unknown is news once for each attempt: not when this one did not leave, nor when its lease has told so already.
local function move(final, ...)
  local old = final == 'unknown' and (outcome ~= 'unknown' or lost)
  return (old and set_send or move_send)(key, send, final, now, ...)
end

local function rest(final, ...)
  if lost then
    leave_line(key, send)
    redis.call('HDEL', key, send_field(send, 'retry'))
  end
  move(final, ...)
  if status == 'pending' then
    look_again_at(agenda, id, expires, now)
  else
    rest_on_agenda(key, agenda, id, sends, now)
  end
  return { 'recorded', final }
end

local function retry_in(ms, waiting, ...)
  move(waiting, 'retry', now + ms, ...)
  local line, segments = get_line(key)
  if line then join_line(line, key, send, segments, expires - policy.send_reserve_ms) end
  look_again_at(agenda, id, now + ms + policy.sweep_after_ms, now)
  return { 'retry', ms }
end

local note = { began, provider, outcome, now - at - began, reason }
if from ~= '' and note_from(key, send, attempts, from) then note[6] = from end
redis.call('HSET', key, send_field(send, 'a' .. attempts), table.concat(note, ' '))
if message ~= '' then redis.call('HSET', key, send_field(send, 'message'), message) end
if state ~= 'submitting' and not lost then return { 'recorded', state } end
-- Messages of earlier attempts that may have left.
local left = submitted - 1
if outcome == 'accepted' then return rest('accepted') end
if outcome == 'found' then return rest('accepted', 'submitted', left) end

-- Attempts that were busy for this reason, this one included.
local function tries()
  local count = 0
  for attempt = 1, attempts do
    local earlier = get_send(key, send, 'a' .. attempt)
    if earlier and string.match(earlier, '^%d+ %S+ busy %d+ (%S+)') == reason then count = count + 1 end
  end
  return count
end

if outcome == 'busy' and tonumber(tries_max) > 0 and tries() >= tonumber(tries_max) then outcome = 'rejected' end

if outcome == 'withheld' then return rest(left > 0 and 'unknown' or 'suppressed', 'submitted', left, 'reason', reason) end
-- Then the send stays unknown, never told as unsent.
if outcome == 'rejected' then return rest(left > 0 and 'unknown' or 'rejected', 'reason', reason) end

local newest = tonumber(send) == sends
local function in_time(ms) return status == 'pending' and newest and now + ms < expires - policy.send_reserve_ms end

-- A wait that would outlast the send is cut: one more attempt is made shortly before the last moment.
local function cut(ms)
  local last_ms = expires - policy.send_reserve_ms - policy.last_try_ms - now
  return ms > last_ms and last_ms >= policy.last_try_ms and last_ms or ms
end

if outcome == 'busy' then
  local ms = cut(tonumber(wait_ms))
  if in_time(ms) then return retry_in(ms, left > 0 and 'unknown' or 'queued', 'submitted', left, 'reason', reason) end
  if left > 0 then return rest('unknown', 'submitted', left) end
  if status == 'pending' and not newest then return rest('superseded', 'submitted', left, 'reason', 'superseded') end
  if status == 'pending' then return rest('expired', 'submitted', left, 'reason', 'not_sent_in_time') end
  return rest(status == 'expired' and 'expired' or 'canceled', 'submitted', left, 'reason', status)
end

-- The wait for a receipt has begun already where the lease ran out.
local ms = lost and retry and math.max(0, retry - now) or policy.receipt_wait_ms
if may_follow(submitted) and in_time(ms) then return retry_in(ms, 'unknown', 'reason', reason) end
return rest('unknown', 'reason', reason, 'retry', now + ms)
