-- Cancels a pending verification.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- ARGV    id
--
-- Replies {'canceled'} (also when it was canceled before), or
--         {'refused', 'unknown_verification' | 'verification_ended', -1}
--
-- Nothing is sent and no code is approved from here on.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local key, agenda = unpack(KEYS)
local id = ARGV[1]
if redis.call('EXISTS', key) == 0 then return { 'refused', 'unknown_verification', -1 } end
local now = now_ms()
local status = status_at(key, agenda, id, now)
if status == 'pending' then
  end_verification(key, agenda, id, 'canceled', 'canceled', now)
elseif status ~= 'canceled' then
  return { 'refused', 'verification_ended', -1 }
end
return { 'canceled' }
