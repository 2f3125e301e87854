-- Lets the answer to a keyword leave: it stands in no line and in no ledger, but it is sent, and it costs. So it leaves
-- at the pace of its number, as codes do, within the budgets of money, and not while sending is stopped.
--
-- KEYS[1] pace         string, see pacing.lua
-- KEYS[2] stopped      string, there while sending is stopped
-- KEYS[3...4] scopes of the gate whose budgets it counts for, hashes of meters, in the order of policy.gate
-- ARGV    segments, ms a segment takes at the number's rate, its price (millionths; 0 when it was counted before)
--
-- Replies {'go', explain}: it counts as having left, and its price as spent; explain as start.lua
--         {'wait', ms, 'sending_stopped' | 'not_sent_in_time'}: ask again then; why, should that be too late
--         {'refused', code, retry after ms, name of the limit}: a budget is spent; nothing was counted
--@include clock.lua
--@include meters.lua
--@include events.lua
--@include holding.lua
--@include gate.lua
--@include pacing.lua

local pace, stopped = unpack(KEYS)
local segments, segment_ms, spend = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
if redis.call('EXISTS', stopped) == 1 then return { 'wait', policy.stopped_retry_ms, 'sending_stopped' } end

-- Whoever writes to us has no challenge to pass: a budget that asks for one says no.
local passage = ask_gate(policy.gate, { unpack(KEYS, 3) }, { spend = spend }, now)
local refusal = refusal_of(passage)
if refusal then return refusal end
local busy = busy_until(pace, now)
local wait_ms = pace_wait(busy, segment_ms, 0, segments, now)
if wait_ms > 0 then return { 'wait', math.ceil(wait_ms), 'not_sent_in_time' } end

take_pace(pace, busy, segment_ms, segments)
count_passage(passage, false)
return { 'go', explain_passage(passage) }
