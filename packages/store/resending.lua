-- One more send of a pending verification: shared by start (the number asked again) and resend (asked by id).

local function too_late_at(verification) return verification.expires - policy.send_reserve_ms end

-- nil when a resend may go now, else the refusal as {'refused', code, retry after ms (-1: never)}.
local function resend_refusal(verification, now)
  if verification.next_send > now then return { 'refused', 'resend_cooldown', verification.next_send - now } end
  if too_late_at(verification) <= now then return { 'refused', 'too_late_to_send', -1 } end
  if verification.next_send == 0 then return { 'refused', 'sends_exhausted', -1 } end
  return nil
end

-- Why this send is held back, '' for not at all: what speaks against it now, and not what spoke against those before it,
-- such as a STOP that a START has lifted. But the code of a test number is known to many: what began as one stays one.
local function held_again(verification, held)
  return verification.held == 'test_number' and verification.held or held
end

-- When a message may follow the last one: another of this verification, or the first of one that takes its place. Once
-- its time is over it holds nothing back.
local function may_follow_at(key, verification)
  if verification.next_send > 0 then return verification.next_send end
  local waits = policy.resend_waits_ms
  return math.min(tonumber(get_send(key, verification.sends, 'at')) + (waits[#waits] or 0), verification.expires)
end

-- What a start of the number says while this one is pending, as resend_refusal; and whether a new verification takes
-- its place, because too little life is left in it for another message, or because it is for another payment.
local function start_refusal(key, verification, context_tag, now)
  local replaced = verification.context_tag ~= context_tag or too_late_at(verification) <= now
  local refusal = resend_refusal(verification, now)
  if refusal and refusal[2] ~= 'resend_cooldown' then
    local wait_ms = may_follow_at(key, verification) - now
    if replaced then
      refusal = wait_ms > 0 and { 'refused', 'resend_cooldown', wait_ms } or nil
    elseif refusal[2] == 'sends_exhausted' then
      refusal[3] = math.max(too_late_at(verification) - now, wait_ms)
    end
  end
  return refusal, replaced
end

-- An earlier send still waiting is superseded: the person gets one message, not two. With a new code the old one is
-- dead from here on. `held`: as held_again says. Replies as start.lua does.
local function resend(key, agenda, id, verification, held, code_mac, sealed, explain, line, now)
  close_sends(key, verification.sends, 'superseded', 'superseded', now)
  local known = line_of(verification, line)
  if known ~= verification.line then redis.call('HSET', key, 'line', known) end
  if explain ~= '' then redis.call('HSET', key, 'explain', explain) end
  if code_mac ~= '' then redis.call('HSET', key, 'code_mac', code_mac, 'sealed', sealed) end
  local send = verification.sends + 1
  local next_send = add_send(key, agenda, id, send, now)
  if held ~= '' then
    redis.call('HSET', key, 'held', held)
    hold_send(key, agenda, id, send, verification.expires, held, now)
  else
    if verification.held then redis.call('HDEL', key, 'held') end
    join_line(known, key, send, verification.segments, verification.expires - policy.send_reserve_ms)
  end
  return {
    'sent_again', id, send, verification.created, verification.expires, next_send,
    math.max(0, #policy.resend_waits_ms + 1 - send),
    math.max(0, checks_max_of(verification.context_tag) - verification.wrong), now,
    verification.channel, verification.locale, explain,
  }
end

-- The fields both refusal and resend need, or nil when the verification is gone or has ended.
local function pending_verification(key, agenda, id, now)
  local f = redis.call('HMGET', key,
    'status', 'expires', 'created', 'next_send', 'sends', 'wrong', 'channel', 'locale', 'held', 'trusted', 'spend',
    'context_tag', 'line', 'segments')
  if f[1] ~= 'pending' then return nil end
  local expires = tonumber(f[2])
  if expires <= now then
    end_verification(key, agenda, id, 'expired', 'expired', now)
    return nil
  end
  return {
    expires = expires, created = tonumber(f[3]), next_send = tonumber(f[4]), sends = tonumber(f[5]),
    wrong = tonumber(f[6] or 0), channel = f[7], locale = f[8], held = f[9],
    trusted = f[10], spend = f[11], context_tag = f[12] or '', line = f[13], segments = tonumber(f[14] or 1),
  }
end
