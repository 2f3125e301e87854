-- Claims one attempt at a send. Only who holds a claim may call the provider.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- KEYS[3] stopped      string, there while sending is stopped
-- ARGV    id, send, fencing token (new for each claim), prefix of suppression keys
--
-- Replies {'claimed', sealed number and code, locale, channel, attempt (1, 2, ...), ms left until the last moment to
--         submit, ms since the first attempt began that may have left (-1: none may), number's tag}
--         {'wait', ms}: another worker holds it, or its time has not come; look again then
--         {'closed', why}: nothing is to be done any more: gone | its state in the ledger
--
-- At most policy.submissions_max messages may ever have left for one send; none leaves after the deadline, an
-- approval, a cancellation, a newer send or a STOP of the number. An attempt whose lease ran out may have left: it
-- counts as unknown.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local key, agenda, stopped = unpack(KEYS)
local id, send, token, suppressions = unpack(ARGV)
if redis.call('EXISTS', key) == 0 then return { 'closed', 'gone' } end
local now = now_ms()
local status = status_at(key, agenda, id, now)
local state, lease, retry, submitted, attempts, held, at =
  get_send(key, send, 'state', 'lease', 'retry', 'submitted', 'attempts', 'token', 'at')
if not state then return { 'closed', 'gone' } end

local sends, expires, to_tag = unpack(redis.call('HMGET', key, 'sends', 'expires', 'to_tag'))
local deadline = tonumber(expires) - policy.send_reserve_ms
local wanted = status == 'pending' and tonumber(send) == tonumber(sends)
local opted_out = redis.call('EXISTS', suppressions .. to_tag) == 1

local function may_have_left_for(attempt)
  for earlier = 1, attempt - 1 do
    local began, _, outcome = get_attempt(key, send, earlier)
    if began and outcome ~= 'busy' then return now - at - began end
  end
  return -1
end

local function claimed(attempt)
  local fields = redis.call('HMGET', key, 'sealed', 'locale', 'channel')
  return { 'claimed', fields[1], fields[2], fields[3], attempt, deadline - now, may_have_left_for(attempt), to_tag }
end

-- The answer to this very claim was lost: it is given again while it holds.
local mine = state == 'submitting' and held == token and tonumber(lease) > now
if mine and wanted and not opted_out then return claimed(tonumber(attempts)) end

if state == 'submitting' then
  if tonumber(lease) > now then return { 'wait', tonumber(lease) - now } end
  move_send(key, send, 'unknown', now, 'reason', 'worker_lost')
  state = 'unknown'
end
if state ~= 'queued' and state ~= 'unknown' then return { 'closed', state } end
if not wanted then return { 'closed', state } end
if opted_out then
  look_again_at(agenda, id, expires, now)
  if state == 'unknown' then return { 'closed', state } end
  move_send(key, send, 'suppressed', now, 'reason', 'recipient_opted_out')
  return { 'closed', 'suppressed' }
end
if state == 'unknown' and (policy.unknown == 'stop' or tonumber(submitted) >= policy.submissions_max) then
  return { 'closed', state }
end
if retry and tonumber(retry) > now then return { 'wait', tonumber(retry) - now } end

if deadline <= now then
  look_again_at(agenda, id, expires, now)
  if state == 'unknown' then return { 'closed', state } end
  move_send(key, send, 'expired', now, 'reason', 'not_sent_in_time')
  return { 'closed', 'expired' }
end

if redis.call('EXISTS', stopped) == 1 then return { 'wait', policy.stopped_retry_ms } end

attempts = tonumber(attempts) + 1
move_send(key, send, 'submitting', now, 'token', token, 'lease', now + policy.lease_ms,
  'attempts', attempts, 'submitted', tonumber(submitted) + 1)
note_claim(key, send, attempts, now - at)
redis.call('HDEL', key, send_field(send, 'retry'))
look_again_at(agenda, id, now + policy.lease_ms + policy.sweep_after_ms, now)
return claimed(attempts)
