// Package exchange performs one secured SOAP exchange: route, secure, send, correlate,
// classify, and repeat where that is safe. It is the only place where resilience meets SOAP.
//
//	answer, err := x.Do(ctx, &exchange.Call{
//		Op:        "insurability.GetInsurability",
//		Service:   "uddi:ehealth-fgov-be:business:genericinsurability:v1",
//		Action:    "urn:be:fgov:ehealth:genericinsurability:protocol:v1:GetInsurability",
//		Class:     resilience.Read,
//		Body:      payload,
//		Security:  security,
//		Correlate: func(p *xmltree.Node) error { … },
//	})
//
// What is guaranteed:
//
//   - Do ends within the call's deadline, whatever the peer does, with an [Answer] or with a
//     *[fault.Error] that says whether the request was executed.
//   - One attempt is one POST. Redirects are not followed, and no header invites the HTTP
//     stack to replay. A request counts as not sent only while its last byte had not been
//     handed to a connection.
//   - An operation is repeated only as its class allows: reads after anything that is not
//     the caller's own mistake, writes only when the request was certainly not executed.
//   - Security is applied per attempt, so every attempt has a fresh timestamp and signature.
//   - An answer is read up to a bound, parsed strictly and correlated before anybody sees it. One
//     that belongs to another question is dropped with its connection.
//   - Attachments go and come as parts of a multipart body, as streams and within the same
//     bound. A message counts as not sent until the last byte of its last part was handed over.
//
// How it fails: see [fault.Error]. The package does not log.
package exchange
