/**
 * Verifications as they change, for a page that shows what happens: Server-Sent Events, first how things stand, then
 * what changes. All streams of a process share one question to Redis, twice a second: a connection each would be the
 * first thing to run out, and a person does not see half a second. What a reader has not taken yet is never piled up;
 * it gets the newest state when it is ready for one. Whoever may no longer read is told nothing more.
 */
import { createHash } from 'node:crypto'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Verifications } from '#store/verifications.ts'
import type { Application, SendState, VerificationId, VerificationView } from '#verification/verification.ts'
import { verificationAnswer } from './answers.ts'

/** Within every usual time-out of a proxy, and of our own server. */
const BEAT_MS = 10_000
const LOOK_MS = 500
/** How long an EventSource waits before it connects again. */
const RETRY_MS = 2_000
/** Writes a reader may be behind; the next one waits until it has taken some. */
const BEHIND_MAX = 8

export type StreamLimits = { max: number; applicationMax: number }

/** @property mayRead whether its reader still may, by its API key as it counts now */
type Followed = { application: Application; id: VerificationId; mayRead: () => boolean }
/** What a reader has been told, as two digests; `id` of each event, so that it can go on where it was. */
type Version = { status: string; delivery: string }
type Ending = 'over' | 'left' | 'revoked' | 'stopped'

export type Streams = ReturnType<typeof createStreams>

export function createStreams(deps: {
  readMany: Verifications['readMany']
  limits: StreamLimits
  log: Log
  lookMs?: number
  beatMs?: number
}) {
  const { readMany, limits, log, lookMs = LOOK_MS, beatMs = BEAT_MS } = deps
  const streams = new Set<Stream>()
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  function isFull(application: Application): boolean {
    if (stopped || streams.size >= limits.max) return true
    const own = [...streams].filter((stream) => stream.followed.application === application)
    return own.length >= limits.applicationMax
  }

  /** Closed without an end: a reader that comes back is refused by its key. */
  function endRevoked(): void {
    for (const stream of streams) if (!stream.followed.mayRead()) stream.end('revoked')
  }

  async function look(): Promise<void> {
    endRevoked()
    // Two readers of one verification are one question.
    const groups = Map.groupBy(streams, ({ followed }) => `${followed.application} ${followed.id}`)
    const followed = [...groups.values()].flatMap(([first]) => (first ? [first.followed] : []))
    try {
      const views = await readMany(followed)
      endRevoked()
      for (const [index, group] of [...groups.values()].entries())
        for (const stream of group) stream.show(views[index])
    } catch (error) {
      log.debug({ fault: faultName(error) }, 'streams put off')
    }
    for (const stream of streams) stream.beat(beatMs)
  }

  function lookLater(): void {
    if (timer !== undefined || stopped || streams.size === 0) return
    timer = setTimeout(async () => {
      await look()
      timer = undefined
      lookLater()
    }, lookMs)
  }

  return {
    count: () => streams.size,

    /** The body of an answer; `undefined` when there are too many streams. */
    open(followed: Followed, view: VerificationView, lastEventId = ''): ReadableStream | undefined {
      if (isFull(followed.application)) return undefined
      const startedAt = performance.now()
      const stream = createStream(followed, versionOf(lastEventId), (result) => {
        streams.delete(stream)
        const { application, id: verification } = followed
        const duration_ms = Math.round(performance.now() - startedAt)
        log.info({ application, verification, result, duration_ms }, 'stream ended')
      })
      streams.add(stream)
      stream.show(view)
      lookLater()
      return stream.body
    },

    /** Ends every stream, so that its reader comes back to another process. */
    stop(): void {
      stopped = true
      clearTimeout(timer)
      for (const stream of streams) stream.end('stopped')
    },
  }
}

type Stream = ReturnType<typeof createStream>

function createStream(followed: Followed, told: Version, onEnd: (ending: Ending) => void) {
  let version = told
  let wroteAt = performance.now()
  let ended = false
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given
      },
      cancel: () => finish('left'),
    },
    { highWaterMark: BEHIND_MAX },
  )

  function finish(ending: Ending): void {
    if (ended) return
    ended = true
    onEnd(ending)
  }

  function write(text: string): void {
    controller?.enqueue(new TextEncoder().encode(text))
    wroteAt = performance.now()
  }

  const isBehind = () => (controller?.desiredSize ?? 0) <= 0

  function end(ending: Ending): void {
    if (ended) return
    if (ending === 'over') write('event: end\ndata: {}\n\n')
    controller?.close()
    finish(ending)
  }

  function tell(event: keyof Version, { text, digest }: { text: string; digest: string }): void {
    if (version[event] === digest) return
    version = { ...version, [event]: digest }
    write(`id: ${idOf(version)}\nevent: ${event}\ndata: ${text}\n\n`)
  }

  function tellAll(view: VerificationView): void {
    const { status, delivery } = partsOf(view)
    tell('status', status)
    tell('delivery', delivery)
  }

  write(`retry: ${RETRY_MS}\n\n`)
  return {
    followed,
    body,
    end,
    /** @param view nothing when the verification is gone */
    show(view: VerificationView | undefined): void {
      if (ended || isBehind()) return
      if (view) tellAll(view)
      if (!view || isOver(view)) end('over')
    },
    /** Keeps the connection from looking dead. */
    beat(beatMs: number): void {
      if (!ended && !isBehind() && performance.now() - wroteAt >= beatMs) write(':\n\n')
    },
  }
}

/** No news can come that a person would wait for. */
const FINAL: Readonly<Record<SendState, boolean>> = {
  queued: false,
  submitting: false,
  accepted: false,
  unknown: false,
  delivered: true,
  undelivered: true,
  failed: true,
  rejected: true,
  expired: true,
  canceled: true,
  superseded: true,
  suppressed: true,
}

function isOver({ status, sends }: VerificationView): boolean {
  return status !== 'pending' && sends.every(({ state }) => FINAL[state])
}

/** Whether a reader that has seen this much has seen all there will ever be. */
export function hasSeenAll(view: VerificationView, lastEventId: string): boolean {
  const { status, delivery } = partsOf(view)
  return isOver(view) && lastEventId === idOf({ status: status.digest, delivery: delivery.digest })
}

function partsOf(view: VerificationView) {
  const { id, status, expires_at, next_send_at, sends_left, checks_left, delivery } = verificationAnswer(view)
  const state = { id, status, expires_at, next_send_at, sends_left, checks_left }
  return { status: part(state), delivery: part(delivery) }
}

function part(value: unknown): { text: string; digest: string } {
  const text = JSON.stringify(value)
  return { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 12) }
}

const idOf = ({ status, delivery }: Version) => `${status}.${delivery}`

function versionOf(lastEventId: string): Version {
  const [, status = '-', delivery = '-'] = /^([0-9a-f]{12})\.([0-9a-f]{12}|-)$/.exec(lastEventId) ?? []
  return { status, delivery }
}
