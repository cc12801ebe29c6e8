// Package soap reads and writes SOAP 1.1 envelopes and faults.
//
// [Parse] is strict: one Envelope, at most one Header before exactly one Body, exactly one
// element in that Body, nothing but white space elsewhere. A message that is not so shaped is
// refused whole, because a reader that tolerates a second Body or a second payload can be made
// to look at another one than the signature covers.
//
// [Message.Fault] understands the error detail of the eHealth platform: elements SystemError or
// BusinessError in urn:be:fgov:ehealth:errors:soa:v1 whose children stand in no namespace, except
// Environment (dossier 01 E.1). It reads them by local name, because both forms are on the wire.
//
// The package has no network, no clock and does not log. What a peer wrote (fault strings,
// messages) is kept in values for the caller and never put in an error text of this package.
package soap
