// Package mime writes and reads SOAP messages with attachments: multipart/related whose root part is the envelope and
// whose other parts are named by "cid:" references in it (SOAP with Attachments, WS-I swaRef; dossier 03 section 9).
//
//	m, err := mime.New(envelope, mime.Bytes("1@example.be", "application/pdf", pdf))
//	req.Header.Set("Content-Type", m.ContentType())
//	req.ContentLength = m.Size()
//	req.Body = m.Reader()
//
//	got, err := mime.Read(resp.Header.Get("Content-Type"), resp.Body, mime.Limits{})
//	part, ok := got.Part(ref) // ref is "cid:…" as it stands in the XML
//
// A message is written as a stream: a part is opened when its turn comes and is never held. Reading holds the root part
// in memory and hands the others to Limits.Spill, or keeps them too. Everything that is read is bounded: the whole, the
// root, each part, their number, their headers.
//
// The reader takes what real senders write (dossier 03 section 9): Content-IDs with and without angle brackets, a root
// part without Content-ID, no start parameter, the transfer encodings 7bit, 8bit, binary, base64 and quoted-printable,
// lines that end in LF alone, text before the first and after the last delimiter. It refuses what two readers could
// understand in two ways: two parts of one Content-ID, a header that stands twice, a message that ends before its last
// delimiter, an unknown transfer encoding.
//
// Errors wrap one of ErrMedia, ErrSyntax, ErrLimit, ErrPart. They never quote content. The package has no network and no
// clock and does not log.
package mime
