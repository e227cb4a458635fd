// What each failure of sending means, in words of a person, with what to do about it.

import { AnswerError } from "./api";
import { SenderError } from "./crypto/errors";
import { TooLargeError, UnreadableError } from "./sending";
import { formatSize } from "./sizes";
import type { Text } from "./text";

export function sendingProblem(error: unknown, t: Text, language: string): string {
  if (error instanceof TooLargeError) {
    return t.tooLarge(formatSize(error.size, language), formatSize(error.limit, language));
  }
  if (error instanceof UnreadableError) {
    return t.unreadable;
  }
  if (error instanceof SenderError) {
    return t.nameTooLong;
  }
  if (!(error instanceof AnswerError)) {
    return t.unexpected;
  }
  switch (error.status) {
    case 0:
      return t.sendOffline;
    case 400:
      return t.sendRefused;
    case 401:
      return t.tokenRefused;
    case 413:
      return t.sendTooLarge;
    case 429:
      return t.sendQuota(wait(error, t));
    case 501:
      return t.sendUnsupported;
    case 507:
      return t.sendFull;
    default:
      return t.sendBusy(wait(error, t));
  }
}

/** How long to wait, in words. */
export function wait(error: AnswerError, t: Text): string {
  const seconds = error.retryAfter ?? 60;
  return seconds < 60 ? t.waitMoment : t.waitMinutes(Math.ceil(seconds / 60));
}
