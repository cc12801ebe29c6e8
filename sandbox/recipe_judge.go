package sandbox

// DecryptionKey is the key that opens what is sealed for a central service now: Recip-e ({CBE, 0823257311}), the key service
// ({CBE, 0809394427, KGSS}) and the others of the depot. It is for tests in which programs of other authors judge what a client
// sealed. The error is ErrNobody.
func (s *Sandbox) DecryptionKey(of Holder) (Credential, error) {
	typ := string(of.Type)
	if s.central(typ, of.Number, of.Application) == nil {
		return Credential{}, ErrNobody
	}
	keys, err := s.serviceKeys(typ, of.Number, of.Application)
	if err != nil {
		return Credential{}, err
	}
	return keys[1], nil // the first is for signing
}
