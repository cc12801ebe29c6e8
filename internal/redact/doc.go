// Package redact keeps personal data and secrets out of logs: a log/slog handler that cleans what
// passes through it, and the cleaning itself.
//
//	log := slog.New(redact.New(slog.NewJSONHandler(os.Stderr, nil)))
//	log.Info("asked for 85.07.31-997.04", "password", pw, "err", err)
//	// msg="asked for [ssin]" password=[masked] err=...
//
// It is the last net. The packages of this module do not log such data in the first place; this
// one is for what callers, servers and other libraries put into messages and errors.
//
// # What is replaced in texts
//
// Messages, strings, errors, keys and names of groups, and the printed form of everything else:
//
//	[ssin]    eleven digits with the check digits of an SSIN, of either century, plain or with
//	          separators where people write them (85.07.31-997.04, 850731 997 04)
//	[xml]     from the first < that opens a tag to the last >, also escaped (&lt; \u003c %3C)
//	[pem]     PEM blocks
//	[token]   JSON Web Tokens, what follows Bearer and Basic, runs of at least 32 characters that
//	          look like base64, and of at least 48 that look like hexadecimal. UUIDs and trace ids
//	          are shorter and stay; so do words, paths and host names, by how seldom letters,
//	          digits and cases alternate in them
//	[email]   e-mail addresses: they name a person, and no log needs them
//	[masked]  values behind a telling name (password=..., "token":"...", user:secret@host)
//
// What cannot be closed (a cut-off document, an unterminated block) is replaced to the end.
// Rather too much than too little: one in fifty of all numbers with eleven digits has the check
// digits of an SSIN.
//
// # What is replaced by key
//
// [Sensitive] names the keys whose values are masked whatever they hold, a whole group included:
// password, pin, token, assertion, ssin, niss, insz, body, patient and their like. Times,
// durations and truth values stay under the name of a secret ("token_expires"), and numbers do
// when the key counts ("token_count", "body_bytes").
//
// # What it cannot see
//
// A name in a sentence is not recognisable. An SSIN inside a longer run of digits, or written
// with letters between its digits, is not found.
//
// # Failures
//
// Methods that panic (Error, String, MarshalJSON) and groups nested beyond 16 levels are replaced
// by a remark. Nothing here returns an error of its own; Handle returns that of the next handler.
package redact
