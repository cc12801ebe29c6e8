// Package protocol holds the messages of Recip-e v4 for prescribers, executors (pharmacies) and patients: the outer
// bodies that the platform reads, the params and results inside the seals, the key that ties an answer to its request,
// and the rules for what may be sent. It does no input or output.
package protocol
