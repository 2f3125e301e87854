-- Gives a worker the answers that were left to it, oldest first. What was taken is the worker's alone: an answer that is
-- lost with it is not sent, and none is sent twice.
--
-- KEYS[1] unanswered   list: ms it came, reply
-- ARGV    how many at most
--
-- Replies {ms since it came, reply, ms since it came, reply, ...}
--@include clock.lua

local reply = {}
local now = now_ms()
for _, entry in ipairs(redis.call('LPOP', KEYS[1], ARGV[1]) or {}) do
  local came, text = string.match(entry, '^(%d+) (.*)$')
  reply[#reply + 1] = now - came
  reply[#reply + 1] = text
end
return reply
