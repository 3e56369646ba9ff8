// The numbers and words by which the server refuses something, and what this client does about them.
// The numbers mirror `close_code` in base/codes.hpp; a test compares the two.

export const close_codes = {
  normal: 1000,
  draining: 1001,
  not_utf8: 1007,
  too_large: 1009,
  bad_protocol: 4400,
  token_refused: 4401,
  forbidden: 4403,
  no_hello: 4408,
  taken_over: 4409,
  too_many_connections: 4429,
  overloaded: 4503,
  slow_reader: 4508,
};

// After a close that is not listed here: reconnect with backoff.
//   soon     the server leaves on purpose: at a random moment under 2 s
//   login    the access token is stale or the sign-in is over: refresh decides which
//   renew    another connection continued this session: go on with a session of our own
//   patient  backoff, but not before 5 s
//   never    it would be refused again
export const reactions = {
  [close_codes.draining]: "soon",
  [close_codes.bad_protocol]: "never",
  [close_codes.token_refused]: "login",
  [close_codes.forbidden]: "never",
  [close_codes.taken_over]: "renew",
  [close_codes.too_many_connections]: "patient",
};

// Refusals of a command that pass by themselves; every other one is final for that command.
export const passing = new Set(["rate_limited", "overloaded", "storage_unavailable", "internal", "bad_order"]);
