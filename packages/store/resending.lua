-- One more send of a pending verification: shared by start (the number asked again) and resend (asked by id).

-- nil when a resend may go now, else the refusal as {'refused', code, retry after ms (-1: never)}.
local function resend_refusal(verification, now)
  if verification.next_send > now then return { 'refused', 'resend_cooldown', verification.next_send - now } end
  local too_late_at = verification.expires - policy.send_reserve_ms
  if too_late_at <= now then return { 'refused', 'too_late_to_send', -1 } end
  if verification.next_send == 0 then return { 'refused', 'sends_exhausted', too_late_at - now } end
  return nil
end

-- An earlier send still waiting is superseded: the person gets one message, not two. With a new code the old one is
-- dead from here on. Replies as start.lua does.
local function resend(key, agenda, id, verification, code_mac, sealed, explain, line, now)
  close_sends(key, verification.sends, 'superseded', 'superseded', now)
  local known = line_of(verification, line)
  if known ~= verification.line then redis.call('HSET', key, 'line', known) end
  if explain ~= '' then redis.call('HSET', key, 'explain', explain) end
  if code_mac ~= '' then redis.call('HSET', key, 'code_mac', code_mac, 'sealed', sealed) end
  local send = verification.sends + 1
  local next_send = add_send(key, agenda, id, send, now)
  if verification.held then
    hold_send(key, agenda, id, send, verification.expires, verification.held, now)
  else
    join_line(known, key, send, verification.segments, verification.expires - policy.send_reserve_ms)
  end
  return {
    'sent_again', id, send, verification.created, verification.expires, next_send,
    #policy.resend_waits_ms + 1 - send, checks_max_of(verification.context_tag) - verification.wrong, now,
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
    wrong = tonumber(f[6]), channel = f[7], locale = f[8], held = f[9],
    trusted = f[10], spend = f[11], context_tag = f[12] or '', line = f[13], segments = tonumber(f[14] or 1),
  }
end
