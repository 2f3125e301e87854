-- Heeds a keyword that came in a message from a number: stop keeps every code from it, start lifts that.
--
-- KEYS[1] suppression  hash: our number -> ms when this number told it to stop
-- KEYS[2] answer       string: the token of the message that was answered
-- KEYS[3] unanswered   list: what a worker is to answer for whoever cannot send, oldest first: ms it came, reply
-- ARGV    keyword (stop | start | help), our number it came to, ms since it came, token (new for each message taken),
--         reply to leave to a worker, or '' from who answers by itself
--
-- Replies {'answer'}: it is to be answered, once; or it has been left to a worker, once
--         {'silent'}: the number had its answer to this keyword within policy.reply_wait_ms; or a start changed nothing,
--         because a stop came after it
--
-- A stop told to one of our numbers holds for all of them, and so a start lifts what any of them was told: else nobody
-- could come back once a number of ours is given up. A start that comes late, such as after an outage, never undoes a
-- newer stop. Asking again with the same token is harmless: an answer that was lost is given again.
--@include clock.lua

local suppression, answer, unanswered = unpack(KEYS)
local keyword, sender, ago_ms, token, reply = unpack(ARGV)
local came = now_ms() - ago_ms
-- Times of two messages are exact to what a command takes on its way; nearer ones count as they are told, in order.
local EXACT_MS = 1000
-- Answers that no worker comes for; a crowd that asks for help must not fill Redis.
local REPLIES_MAX = 10000

if keyword == 'stop' then
  redis.call('HSET', suppression, sender, came)
  redis.call('PEXPIRE', suppression, policy.suppression_ttl_ms)
elseif keyword == 'start' then
  local told = redis.call('HGETALL', suppression)
  for i = 1, #told, 2 do
    if tonumber(told[i + 1]) < came + EXACT_MS then redis.call('HDEL', suppression, told[i]) end
  end
  if redis.call('EXISTS', suppression) == 1 then return { 'silent' } end
end

local first = redis.call('SET', answer, token, 'NX', 'PX', policy.reply_wait_ms)
if first and reply ~= '' then
  redis.call('RPUSH', unanswered, string.format('%d %s', came, reply))
  redis.call('LTRIM', unanswered, -REPLIES_MAX, -1)
  redis.call('PEXPIRE', unanswered, policy.reply_valid_ms)
end
if first or redis.call('GET', answer) == token then return { 'answer' } end
return { 'silent' }
