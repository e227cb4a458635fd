/** The ciphertext does not authenticate: another key sealed it, or it was changed. */
export class WrongKeyError extends Error {}

/** The content is not the one that the link was made for. */
export class HashError extends Error {}

/** What was sealed is not a payload. */
export class PayloadError extends Error {}

/** What is to be sealed cannot be. */
export class SenderError extends Error {
  constructor(readonly what: "filename") {
    super(what);
  }
}
