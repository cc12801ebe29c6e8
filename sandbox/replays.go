package sandbox

// SetAcceptReplays says whether services that are called with a login take a message that they received before, byte for
// byte, like any other, instead of answering SOA-01001. So did the recording stand-in with which dossier 12 was measured: it
// executed whatever arrived. It is off by default.
func (s *Sandbox) SetAcceptReplays(accept bool) { s.replays.Store(accept) }
