-- One more send of a pending verification: shared by start (the number asked again) and resend (asked by id).

-- nil when a resend may go now, else the refusal as {'refused', code, retry after ms (-1: never)}.
local function resend_refusal(verification, now)
  if verification.expires - policy.send_reserve_ms <= now then return { 'refused', 'too_late_to_send', -1 } end
  if verification.next_send == 0 then
    return { 'refused', 'sends_exhausted', verification.expires - policy.send_reserve_ms - now }
  end
  if verification.next_send > now then return { 'refused', 'resend_cooldown', verification.next_send - now } end
  return nil
end

-- An earlier send still waiting is superseded: the person gets one message, not two. With a new code the old one is
-- dead from here on. Replies as start.lua does.
local function resend(key, agenda, id, verification, code_mac, sealed, now)
  close_sends(key, verification.sends, 'superseded', 'superseded', now)
  if code_mac ~= '' then redis.call('HSET', key, 'code_mac', code_mac, 'sealed', sealed) end
  local send = verification.sends + 1
  local next_send = add_send(key, agenda, id, send, now)
  return {
    'sent_again', id, send, verification.created, verification.expires, next_send,
    #policy.resend_waits_ms + 1 - send, policy.checks_max - verification.wrong, now,
    verification.channel, verification.locale,
  }
end

-- The fields both refusal and resend need, or nil when the verification is gone or has ended.
local function pending_verification(key, agenda, id, now)
  if status_at(key, agenda, id, now) ~= 'pending' then return nil end
  local f = redis.call('HMGET', key, 'created', 'expires', 'next_send', 'sends', 'wrong', 'channel', 'locale')
  return {
    created = tonumber(f[1]), expires = tonumber(f[2]), next_send = tonumber(f[3]), sends = tonumber(f[4]),
    wrong = tonumber(f[5]), channel = f[6], locale = f[7],
  }
end
