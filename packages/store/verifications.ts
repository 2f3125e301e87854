/**
 * What callers ask of a verification: start, send again, check, read, cancel. One function a script; the script
 * decides, this file makes what it needs (ids, codes, MACs, sealed copies) and reads what it says.
 */
import type { Redis } from 'ioredis'
import type { PassedChallenge } from '#verification/challenge.ts'
import { type Code, generateCode } from '#verification/code.ts'
import { type Context, canonicalContext } from '#verification/context.ts'
import { type Destination, maskDestination, type Region } from '#verification/destination.ts'
import type { Locale } from '#verification/message.ts'
import type { Policy } from '#verification/policy.ts'
import { type Refused, refused } from '#verification/refusal.ts'
import { createMemory } from '#verification/remember.ts'
import type { Sender } from '#verification/sender.ts'
import type { CodeOwner, Vault } from '#verification/vault.ts'
import {
  type Application,
  type Channel,
  DEFAULT_PURPOSE,
  newVerificationId,
  type Purpose,
  type Verdict,
  type VerificationId,
  type VerificationView,
} from '#verification/verification.ts'
import type { Keys } from './keys.ts'
import { createLines } from './lines.ts'
import { luaEvents, luaGateRules, luaGuessRules } from './lua-policy.ts'
import { type Asker, createPassage, type Place } from './passage.ts'
import { createRecentStarts } from './recent-starts.ts'
import { ask, askAll, loadScript, numberAt, type Reply, textAt } from './script.ts'
import { decodeVerification, type Hash } from './view.ts'

export type StartRequest = Asker & {
  application: Application
  destination: Destination
  region: Region
  purpose: Purpose
  channel: Channel
  locale: Locale
  /** The payment the code is for. A pending verification for another one, or for none, is replaced. */
  context?: Context
  idempotencyKey?: string
  /** On the allow list: only its own limits and the budgets of money and of the whole apply. */
  trusted?: boolean
  /** A test number has a code of its own. */
  testCode?: Code
  /** Why nothing is sent though the start is answered like any other. */
  held?: 'test_number' | 'number_denied'
  /** The caller must not learn from the answer what is held against a number. */
  silent?: boolean
  /** What the person, or their browser, did to be let through; good for one start. */
  challenge?: PassedChallenge
}

/** `challenge`: as of a start. */
export type ResendRequest = Asker & Pick<StartRequest, 'challenge'>

/** What a start or a resend came to. Times are Redis's, in milliseconds since 1970. */
export type Started = {
  kind: 'started' | 'sent_again'
  id: VerificationId
  send: number
  createdAtMs: number
  expiresAtMs: number
  nextSendAtMs?: number
  sendsLeft: number
  checksLeft: number
  nowMs: number
  channel: Channel
  locale: string
  /** The rules of the gate that spoke up, as `rule=mode ...`. */
  explain: string
}

export type CheckRequest = {
  application: Application
  code: Code
  /** As of the start; with another one, with none or with one too many, every code is wrong. */
  context?: Context
  /** Of whoever typed the code. Without one no limit of an address applies. */
  clientIp?: string
  idempotencyKey?: string
  /** As of a start. */
  silent?: boolean
}

/** `explain`: the rules about guessing that spoke up, as `rule=mode ...`. */
export type Checked = {
  kind: 'checked'
  id: VerificationId
  verdict: Verdict
  checksLeft: number
  explain: string
}

type Repeat = { key: string; fingerprint: string }

/** What is needed of a verification before a script can be asked about it. */
type Owner = CodeOwner & {
  sendsKey: string
  wrongKey: string
  inARowKey: string
  paymentsKey: string
  key: string
  agenda: string
  suppression: string
}
/** What of a verification never changes. */
type Known = { tag: string; purpose: Purpose; place: Place; channel: Channel }

/** Under RESEND_CODE=same. */
const NO_NEW_CODE = ['', '', ''] as const
/** Code MAC, sealed copy, id, sealed context; then what newCodeFor makes. */
type Material = readonly [string, string, string, string, string, string, string]
const NO_MATERIAL: Material = ['', '', '', '', '', '', '']
/** About 12 MB; five minutes of 160 starts a second. */
const OWNERS_REMEMBERED_MAX = 50_000
/** The id of no verification: its key never exists. */
const NOBODY = '' as VerificationId
/** How long a line that was full a moment ago is taken to be full, so that no code is made in vain. */
const BACKLOG_REMEMBERED_MS = 1_000
/** A start is asked again when a code must be made, or made for another verification; more often than this never. */
const TRIES_MAX = 6

export type Verifications = ReturnType<typeof createVerifications>

export function createVerifications(deps: {
  redis: Redis
  keys: Keys
  policy: Policy
  vault: Vault
  senders: readonly Sender[]
  /** What a message in this language comes to; its price is counted before it is sent. */
  countSegments: (locale: Locale, context?: Context) => number
}) {
  const { redis, keys, policy, vault, countSegments } = deps
  const recent = createRecentStarts()
  const passage = createPassage(deps)
  const owners = createMemory<Known>(OWNERS_REMEMBERED_MAX)
  const events = luaEvents(policy, keys)
  const lines = createLines(deps)
  const gate = luaGateRules(policy) + lines.lua + events
  const scripts = {
    start: loadScript('start.lua', policy, gate),
    resend: loadScript('resend.lua', policy, gate),
    check: loadScript('check.lua', policy, luaGuessRules(policy) + events),
    cancel: loadScript('cancel.lua', policy, events),
  }

  function ownerOf(
    application: Application,
    id: VerificationId,
    destinationTag: string,
    purpose: Purpose,
  ): Owner {
    return {
      application,
      id,
      destinationTag,
      purpose,
      key: keys.verification(application, id),
      sendsKey: keys.sends(application, destinationTag),
      wrongKey: keys.wrongChecks(application, destinationTag),
      inARowKey: keys.wrongInARow(application, destinationTag),
      paymentsKey: keys.wrongPayments(application, destinationTag),
      agenda: keys.agenda(application),
      suppression: keys.suppression(destinationTag),
    }
  }

  /** What this process started or read it need not read again. */
  async function findKnown(application: Application, id: VerificationId): Promise<Known | undefined> {
    const known = owners.get(`${application} ${id}`)
    if (known) return known
    const [tag, purpose, channel, gates, masked] = await ask(() =>
      redis.hmget(keys.verification(application, id), 'to_tag', 'purpose', 'channel', 'gates', 'to_masked'),
    )
    if (!tag || !purpose || !channel) return undefined
    const place = passage.placeIn(gates ?? '', masked ?? '')
    const read = { tag, purpose: purpose as Purpose, channel: channel as Channel, place }
    owners.set(`${application} ${id}`, read)
    return read
  }

  async function findOwner(application: Application, id: VerificationId): Promise<Owner | undefined> {
    const known = await findKnown(application, id)
    return known && ownerOf(application, id, known.tag, known.purpose)
  }

  async function findPointer(application: Application, tag: string, purpose: Purpose) {
    const id = await ask(() => redis.get(keys.pointer(application, tag, purpose)))
    return id ? ownerOf(application, id as VerificationId, tag, purpose) : undefined
  }

  /**
   * Under RESEND_CODE=new a fresh code for a pending verification; the script uses it only for that one. The code of a
   * test number stays: nobody would ever read another.
   */
  function newCodeFor(
    owner: Owner,
    destination: Destination,
    code: Code = generateCode(),
  ): [id: string, mac: string, sealed: string] {
    return [owner.id, vault.macCode(code, owner), vault.seal({ destination, code }, owner)]
  }

  /** The number stands only in the sealed copy; one that is gone belongs to a verification that has ended. */
  async function newCodeById(owner: Owner) {
    const [sealed, sealedContext, held] = await ask(() => redis.hmget(owner.key, 'sealed', 'context', 'held'))
    if (!sealed) return NO_NEW_CODE
    const letter = vault.open(sealed, owner)
    const context = sealedContext ? vault.openContext(sealedContext, owner) : undefined
    if (!letter || (sealedContext && !context))
      throw new Error('A pending verification is sealed with a key that is not configured')
    const kept = held === 'test_number' ? letter.code : undefined
    return newCodeFor({ ...owner, context }, letter.destination, kept)
  }

  function idempotencyName(application: Application, operation: string, key: string | undefined): string {
    return keys.idempotency(application, key === undefined ? 'none' : vault.fingerprint([operation, key]))
  }

  /** Everything a new verification is made of; the script takes it only when nothing speaks against a send. */
  async function makeMaterial(
    { application, purpose, destination, testCode, context }: StartRequest,
    tag: string,
  ): Promise<Material> {
    const owner = { ...ownerOf(application, newVerificationId(), tag, purpose), context }
    const code = testCode ?? generateCode()
    const pending = policy.resendCode === 'new' ? await findPointer(application, tag, purpose) : undefined
    return [
      vault.macCode(code, owner),
      vault.seal({ destination, code }, owner),
      owner.id,
      context ? vault.sealContext(context, owner) : '',
      ...(pending ? newCodeFor({ ...pending, context }, destination, testCode) : NO_NEW_CODE),
    ]
  }

  function startRepeat(
    { application, purpose, channel, locale, context, idempotencyKey }: StartRequest,
    tag: string,
  ): Repeat {
    const fingerprint = idempotencyKey
      ? vault.fingerprint(['start', tag, purpose, channel, locale, ...spelled(context)])
      : ''
    return { key: idempotencyName(application, 'start', idempotencyKey), fingerprint }
  }

  async function askStart(
    request: StartRequest,
    place: Place,
    tag: string,
    material: Material,
  ): Promise<Reply> {
    const { application, purpose, channel, locale, context, challenge } = request
    const [codeMac, sealed, newId, sealedContext, ...resend] = material
    const repeat = startRepeat(request, tag)
    const segments = countSegments(locale, context)
    return scripts.start(
      redis,
      [
        keys.pointer(application, tag, purpose),
        `${keys.verifications(application)}${newId}`,
        keys.sends(application, tag),
        keys.wrongChecks(application, tag),
        keys.agenda(application),
        repeat.key,
        keys.stopped(),
        keys.challenge(application, challenge?.nonce ?? 'none'),
        keys.suppression(tag),
        keys.wrongInARow(application, tag),
        keys.wrongPayments(application, tag),
        ...passage.scopeKeys(application, place, request.clientIp),
      ],
      [
        keys.verifications(application),
        newId,
        tag,
        maskDestination(request.destination),
        codeMac,
        sealed,
        purpose,
        channel,
        locale,
        repeat.fingerprint,
        ...resend,
        passage.gatesOf(application, place),
        request.held ?? '',
        request.silent ? 'silent' : '',
        ...passage.factsOf(place, { destinationTag: tag, channel, segments }),
        request.trusted ? 'trusted' : '',
        challenge ? '1' : '',
        challenge?.expiresAtMs ?? '',
        sealedContext,
        context ? vault.tagContext(context, { application, destinationTag: tag, purpose }) : '',
        lines.lineOf(tag, channel).key,
        lines.segmentsIn(channel, segments),
      ],
    )
  }

  async function checkOwned(owner: Owner, request: CheckRequest, repeat: Repeat): Promise<Checked | Refused> {
    const { code, context } = request
    const macs = vault.macCodeUnderAllKeys(code, { ...owner, context })
    return askCheck(owner, request, repeat, macs)
  }

  async function askCheck(
    owner: Owner,
    request: Pick<CheckRequest, 'clientIp' | 'silent'>,
    repeat: Repeat,
    macs: readonly string[],
  ): Promise<Checked | Refused> {
    const reply = await scripts.check(
      redis,
      [
        owner.key,
        owner.wrongKey,
        owner.agenda,
        repeat.key,
        owner.inARowKey,
        owner.paymentsKey,
        ...passage.guessKeys(owner.application, request.clientIp),
      ],
      [owner.id, repeat.fingerprint, request.silent ? 'silent' : '', ...macs],
    )
    return decodeChecked(reply)
  }

  /** What an Idempotency-Key stands for: the same request again, whatever has become of the verification meanwhile. */
  function repeatOf(
    application: Application,
    idempotencyKey: string | undefined,
    request: readonly string[],
  ): Repeat {
    return {
      key: idempotencyName(application, 'check', idempotencyKey),
      fingerprint: idempotencyKey === undefined ? '' : vault.fingerprint(['check', ...request]),
    }
  }

  /**
   * No verification is found: there is none, or all that is left of it is the first answer to this key. A silent caller
   * has guessed all the same.
   */
  async function checkUnfound(request: CheckRequest, repeat: Repeat): Promise<Checked | Refused> {
    if (repeat.fingerprint === '' && !request.silent) return refused('unknown_verification')
    return askCheck(ownerOf(request.application, NOBODY, '', DEFAULT_PURPOSE), request, repeat, [])
  }

  return {
    /**
     * Refuses with: any VerificationRefusal of a number or its limits, idempotency_mismatch, delivery_backlog, any
     * GateRefusal, challenge_required, challenge_used.
     */
    async start(request: StartRequest): Promise<Started | Refused> {
      const tag = vault.tagDestination(request.destination)
      const name = `${request.application} ${tag} ${request.purpose}`
      const place = passage.placeOf(request.destination, request.region)
      // A number that was sent to a moment ago, or one of a full line, is most likely refused: the script is asked before a code is made.
      const line = lines.lineOf(tag, request.channel).key
      const isLikelyRefused = recent.isLikely(name) || recent.isLikely(line)
      let material = isLikelyRefused ? NO_MATERIAL : await makeMaterial(request, tag)
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const reply = await askStart(request, place, tag, material)
        if (reply[0] !== 'make') {
          const started = decodeStarted(reply)
          recent.note(name, started)
          if (started.kind === 'refused' && started.refusal === 'delivery_backlog')
            recent.note(line, refused(started.refusal, BACKLOG_REMEMBERED_MS))
          if (started.kind === 'started')
            owners.set(`${request.application} ${started.id}`, {
              tag,
              purpose: request.purpose,
              place,
              channel: request.channel,
            })
          return started
        }
        material = await makeMaterial(request, tag)
      }
      return refused('resend_cooldown', policy.resendWaitsMs[0])
    },

    /** What start answered to this Idempotency-Key, if it did: for a caller who must know before it is asked again. */
    async replayStart(request: StartRequest): Promise<Started | Refused | undefined> {
      if (request.idempotencyKey === undefined) return undefined
      const { key, fingerprint } = startRepeat(request, vault.tagDestination(request.destination))
      const kept = await ask(() => redis.get(key))
      if (kept === null) return undefined
      if (!kept.startsWith(fingerprint)) return refused('idempotency_mismatch')
      return decodeStarted(JSON.parse(kept.slice(fingerprint.length)))
    },

    /** Where a pending verification's code goes; nothing when it has ended, or when its key is not configured here. */
    async findDestination(
      application: Application,
      id: VerificationId,
    ): Promise<{ destination: Destination; channel: Channel } | undefined> {
      const [sealed, channel] = await ask(() =>
        redis.hmget(keys.verification(application, id), 'sealed', 'channel'),
      )
      const letter = sealed ? vault.open(sealed, { application, id }) : undefined
      return letter && { destination: letter.destination, channel: channel as Channel }
    },

    /** The keyed tag of a verification's number, also once it has ended. */
    async findTag(application: Application, id: VerificationId): Promise<string | undefined> {
      return (await findKnown(application, id))?.tag
    },

    /** Refuses with what start refuses with, and too_late_to_send, verification_ended, unknown_verification. */
    async resend(
      application: Application,
      id: VerificationId,
      { clientIp, challenge }: ResendRequest = {},
    ): Promise<Started | Refused> {
      const known = await findKnown(application, id)
      if (!known) return refused('unknown_verification')
      const { tag, place, channel } = known
      const owner = ownerOf(application, id, tag, known.purpose)
      const [, mac, sealed] = policy.resendCode === 'new' ? await newCodeById(owner) : NO_NEW_CODE
      const reply = await scripts.resend(
        redis,
        [
          owner.key,
          owner.sendsKey,
          owner.wrongKey,
          owner.agenda,
          keys.stopped(),
          owner.suppression,
          owner.inARowKey,
          owner.paymentsKey,
          keys.challenge(application, challenge?.nonce ?? 'none'),
          ...passage.scopeKeys(application, place, clientIp),
        ],
        [
          owner.id,
          mac,
          sealed,
          ...passage.numberFacts(place, tag),
          lines.lineOf(tag, channel).key,
          challenge ? '1' : '',
          challenge?.expiresAtMs ?? '',
        ],
      )
      return decodeStarted(reply)
    },

    /**
     * Refuses with: unknown_verification, number_disabled, check_limit, payment_blocked, guess_limit,
     * idempotency_mismatch.
     */
    async check(request: CheckRequest & { id: VerificationId }): Promise<Checked | Refused> {
      const { application, id, code, context, idempotencyKey } = request
      const repeat = repeatOf(application, idempotencyKey, [id, code, ...spelled(context)])
      const owner = await findOwner(application, id)
      return owner ? checkOwned(owner, request, repeat) : checkUnfound(request, repeat)
    },

    /** The newest verification of a number and purpose, checked as by id. */
    async checkDestination(
      request: CheckRequest & { destination: Destination; purpose: Purpose },
    ): Promise<Checked | Refused> {
      const { application, destination, purpose, code, context, idempotencyKey } = request
      const tag = vault.tagDestination(destination)
      const repeat = repeatOf(application, idempotencyKey, [tag, purpose, code, ...spelled(context)])
      const owner = await findPointer(application, tag, purpose)
      return owner ? checkOwned(owner, request, repeat) : checkUnfound(request, repeat)
    },

    /** Refuses with: unknown_verification, verification_ended. */
    async cancel(application: Application, id: VerificationId): Promise<{ kind: 'canceled' } | Refused> {
      const keyList = [keys.verification(application, id), keys.agenda(application)]
      const reply = await scripts.cancel(redis, keyList, [id])
      return reply[0] === 'refused' ? decodeRefusal(reply) : { kind: 'canceled' }
    },

    async read(application: Application, id: VerificationId): Promise<VerificationView | undefined> {
      const replies = await askAll(redis.pipeline().hgetall(keys.verification(application, id)).time())
      return decodeVerification(replies as [Hash, [string, string]], { id, policy })
    },

    /** Many in one round trip, in the same order. */
    async readMany(
      asked: readonly { application: Application; id: VerificationId }[],
    ): Promise<(VerificationView | undefined)[]> {
      const pipeline = redis.pipeline().time()
      for (const { application, id } of asked) pipeline.hgetall(keys.verification(application, id))
      const [time, ...hashes] = (await askAll(pipeline)) as [[string, string], ...Hash[]]
      return asked.map(({ id }, index) => decodeVerification([hashes[index] ?? {}, time], { id, policy }))
    },
  }
}

/** The payment as a part of what a request is known by. */
function spelled(context: Context | undefined): string[] {
  return context ? [canonicalContext(context)] : []
}

function decodeRefusal(reply: Reply): Refused {
  const retryAfterMs = numberAt(reply, 2)
  const limit = reply.length > 3 ? textAt(reply, 3) : undefined
  return refused(textAt(reply, 1) as Refused['refusal'], retryAfterMs < 0 ? undefined : retryAfterMs, limit)
}

function decodeChecked(reply: Reply): Checked | Refused {
  if (reply[0] === 'refused') return decodeRefusal(reply)
  return {
    kind: 'checked',
    id: textAt(reply, 2) as VerificationId,
    verdict: textAt(reply, 0) as Verdict,
    checksLeft: numberAt(reply, 1),
    explain: textAt(reply, 3),
  }
}

function decodeStarted(reply: Reply): Started | Refused {
  if (reply[0] === 'refused') return decodeRefusal(reply)
  const nextSendAtMs = numberAt(reply, 5)
  return {
    kind: reply[0] as Started['kind'],
    id: textAt(reply, 1) as VerificationId,
    send: numberAt(reply, 2),
    createdAtMs: numberAt(reply, 3),
    expiresAtMs: numberAt(reply, 4),
    ...(nextSendAtMs === 0 ? {} : { nextSendAtMs }),
    sendsLeft: numberAt(reply, 6),
    checksLeft: numberAt(reply, 7),
    nowMs: numberAt(reply, 8),
    channel: textAt(reply, 9) as Channel,
    locale: textAt(reply, 10),
    explain: textAt(reply, 11),
  }
}
