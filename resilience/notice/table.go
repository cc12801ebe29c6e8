package notice

// entry is one row of the table of dossier 06 part D: the texts letter by letter, in the order
// of the table (EN, FR, NL, DE), and what we derive from them.
type entry struct {
	id       ID
	severity Severity
	action   Action
	texts    [languages]string
}

// table holds the texts. Variants (one item, no guarantee, no reference) stand in variant.go as
// edits of these, so that each text exists once.
var table = [...]entry{
	{IDOK, Info, CarryOn, [languages]string{
		"{svc} works again since {t}.",
		"{svc} fonctionne à nouveau depuis {t}.",
		"{svc} werkt weer sinds {t}.",
		"{svc} funktioniert seit {t} wieder.",
	}},
	{IDSlow, Warning, CarryOn, [languages]string{
		"{svc} is slow at the moment. You can carry on; we keep trying.",
		"{svc} répond lentement. Vous pouvez continuer, nous réessayons pour vous.",
		"{svc} reageert traag. U kunt doorwerken, wij blijven proberen.",
		"{svc} antwortet langsam. Sie können weiterarbeiten, wir versuchen es weiter.",
	}},
	{IDDown, Stop, Wait, [languages]string{
		"{svc} has not answered since {t}. The fault is not on your computer.",
		"{svc} ne répond plus depuis {t}. Le problème ne vient pas de votre ordinateur.",
		"{svc} antwoordt niet meer sinds {t}. De fout ligt niet aan uw computer.",
		"{svc} antwortet seit {t} nicht mehr. Der Fehler liegt nicht an Ihrem Computer.",
	}},
	{IDNet, Stop, CheckNetwork, [languages]string{
		"Your internet connection does not work. Check your modem or network cable.",
		"Votre connexion internet ne fonctionne pas. Vérifiez votre modem ou le câble réseau.",
		"Uw internetverbinding werkt niet. Controleer uw modem of netwerkkabel.",
		"Ihre Internetverbindung funktioniert nicht. Prüfen Sie Modem oder Netzwerkkabel.",
	}},
	{IDETA, Warning, Wait, [languages]string{
		"eHealth expects {svc} back around {t}.",
		"Selon eHealth, {svc} devrait être rétabli vers {t}.",
		"Volgens eHealth is {svc} rond {t} hersteld.",
		"Laut eHealth ist {svc} gegen {t} wieder verfügbar.",
	}},
	{IDNoETA, Warning, Wait, [languages]string{
		"No time of recovery is known yet. Last check: {t}.",
		"L'heure de rétablissement n'est pas encore connue. Dernière vérification : {t}.",
		"Er is nog geen hersteltijd bekend. Laatste controle: {t}.",
		"Wann es wieder geht, ist noch nicht bekannt. Letzte Prüfung: {t}.",
	}},
	{IDPlan, Info, PlanAhead, [languages]string{
		"{svc} will be unavailable on {d} from {t} (planned work).",
		"{svc} sera indisponible le {d} à partir de {t} (travaux planifiés).",
		"{svc} is niet beschikbaar op {d} vanaf {t} (gepland onderhoud).",
		"{svc} ist am {d} ab {t} nicht verfügbar (geplante Arbeiten).",
	}},
	{IDAuthFallback, Warning, UsePassword, [languages]string{
		"Login with eID or itsme does not work now. You can log in with the password of your eHealth certificate.",
		"La connexion par eID ou itsme ne fonctionne pas. Vous pouvez vous connecter avec le mot de passe de votre certificat eHealth.",
		"Aanmelden met eID of itsme lukt nu niet. U kunt aanmelden met het wachtwoord van uw eHealth-certificaat.",
		"Die Anmeldung mit eID oder itsme funktioniert nicht. Sie können sich mit dem Passwort Ihres eHealth-Zertifikats anmelden.",
	}},
	{IDAuthUsed, Info, CarryOn, [languages]string{
		"You are logged in with your eHealth certificate until {t}. Next time, use your eID or itsme again.",
		"Vous êtes connecté avec votre certificat eHealth jusqu'à {t}. La prochaine fois, utilisez à nouveau votre eID ou itsme.",
		"U bent aangemeld met uw eHealth-certificaat tot {t}. Gebruik de volgende keer weer uw eID of itsme.",
		"Sie sind bis {t} mit Ihrem eHealth-Zertifikat angemeldet. Nutzen Sie beim nächsten Mal wieder eID oder itsme.",
	}},
	{IDAuthKept, Warning, StayLoggedIn, [languages]string{
		"The login service is down. Your session stays valid until {t}; keep working and do not log out.",
		"Le service de connexion est en panne. Votre session reste valable jusqu'à {t} ; continuez et ne vous déconnectez pas.",
		"De aanmelddienst is defect. Uw sessie blijft geldig tot {t}; werk door en meld u niet af.",
		"Der Anmeldedienst ist ausgefallen. Ihre Sitzung gilt bis {t}; arbeiten Sie weiter und melden Sie sich nicht ab.",
	}},
	{IDAuthUntil, Warning, SendUrgent, [languages]string{
		"Your session ends at {t} and cannot be renewed yet. Finish what must be sent first.",
		"Votre session se termine à {t} et ne peut pas encore être renouvelée. Terminez d'abord les envois urgents.",
		"Uw sessie eindigt om {t} en kan nog niet worden verlengd. Verstuur eerst wat dringend is.",
		"Ihre Sitzung endet um {t} und kann noch nicht verlängert werden. Senden Sie zuerst Dringendes.",
	}},
	{IDAuthNone, Stop, Wait, [languages]string{
		"You cannot log in to eHealth now. Your work is kept on this computer and sent after login.",
		"Connexion à eHealth impossible pour l'instant. Votre travail est conservé sur cet ordinateur et sera envoyé après connexion.",
		"Aanmelden bij eHealth lukt nu niet. Uw werk blijft op deze computer bewaard en wordt na aanmelding verstuurd.",
		"Anmeldung bei eHealth zurzeit nicht möglich. Ihre Arbeit bleibt auf diesem Computer und wird nach der Anmeldung gesendet.",
	}},
	{IDAuthGroup, Stop, Wait, [languages]string{
		"eHealth refuses access for many users. This is a fault at eHealth; your rights have not changed.",
		"eHealth refuse l'accès à de nombreux utilisateurs. C'est une panne chez eHealth ; vos droits n'ont pas changé.",
		"eHealth weigert de toegang voor veel gebruikers. Dit is een storing bij eHealth; uw rechten zijn niet gewijzigd.",
		"eHealth verweigert vielen Nutzern den Zugang. Das ist eine Störung bei eHealth; Ihre Rechte sind unverändert.",
	}},
	{IDClock, Stop, SetClock, [languages]string{
		"The clock of this computer is wrong by {n} minutes. Correct it to log in.",
		"L'horloge de cet ordinateur est décalée de {n} minutes. Corrigez-la pour vous connecter.",
		"De klok van deze computer wijkt {n} minuten af. Zet ze juist om aan te melden.",
		"Die Uhr dieses Computers weicht um {n} Minuten ab. Stellen Sie sie richtig, um sich anzumelden.",
	}},
	{IDInsDirect, Info, CarryOn, [languages]string{
		"Insurability is checked through the mutualities' backup line. Nothing to do.",
		"L'assurabilité est vérifiée par la ligne de secours des mutualités. Vous n'avez rien à faire.",
		"De verzekerbaarheid wordt via de noodlijn van de ziekenfondsen nagegaan. U hoeft niets te doen.",
		"Die Versicherbarkeit wird über die Notleitung der Krankenkassen geprüft. Sie müssen nichts tun.",
	}},
	{IDInsCached, Warning, CarryOn, [languages]string{
		"No connection. Insurability shown as checked on {d} ({n} days ago); payment is guaranteed.",
		"Pas de connexion. Assurabilité telle que vérifiée le {d} (il y a {n} jours) ; le paiement est garanti.",
		"Geen verbinding. Verzekerbaarheid zoals nagegaan op {d} ({n} dagen geleden); betaling is gewaarborgd.",
		"Keine Verbindung. Versicherbarkeit laut Prüfung vom {d} (vor {n} Tagen); die Zahlung ist garantiert.",
	}},
	{IDInsUnknown, Stop, AskPatient, [languages]string{
		"Insurability cannot be checked. Known patient: rely on what the patient states. In doubt: charge the public price and give Annex 30.",
		"Assurabilité non vérifiable. Patient connu : fiez-vous à sa déclaration. En cas de doute : prix public et annexe 30.",
		"Verzekerbaarheid niet na te gaan. Bekende patiënt: ga af op zijn verklaring. Bij twijfel: publieksprijs en bijlage 30.",
		"Versicherbarkeit nicht prüfbar. Bekannter Patient: seiner Angabe vertrauen. Im Zweifel: öffentlicher Preis und Anlage 30.",
	}},
	{IDRxPaper, Stop, UsePaper, [languages]string{
		"The electronic prescription was NOT created. Give a paper prescription.",
		"La prescription électronique n'a PAS été créée. Remettez une prescription papier.",
		"Het elektronisch voorschrift is NIET aangemaakt. Geef een papieren voorschrift.",
		"Die elektronische Verschreibung wurde NICHT erstellt. Geben Sie eine Verschreibung auf Papier mit.",
	}},
	{IDRxPrint, Warning, PrintProof, [languages]string{
		"Prescription created. The service is unstable: print the proof for the patient.",
		"Prescription créée. Le service est instable : imprimez la preuve pour le patient.",
		"Voorschrift aangemaakt. De dienst is onstabiel: druk het bewijs af voor de patiënt.",
		"Verschreibung erstellt. Der Dienst ist instabil: drucken Sie den Nachweis für den Patienten aus.",
	}},
	{IDRxProof, Stop, KeepProof, [languages]string{
		"Recip-e does not answer. You may dispense on the paper proof; keep it for your tarification office.",
		"Recip-e ne répond pas. Vous pouvez délivrer sur la base de la preuve papier ; conservez-la pour l'office de tarification.",
		"Recip-e antwoordt niet. U mag afleveren op basis van het papieren bewijs; bewaar het voor uw tariferingsdienst.",
		"Recip-e antwortet nicht. Sie dürfen aufgrund des Papiernachweises abgeben; bewahren Sie ihn für das Tarifierungsamt auf.",
	}},
	{IDRxLater, Info, CarryOn, [languages]string{
		"{n} prescriptions still to be confirmed with Recip-e. This happens by itself.",
		"{n} prescriptions restent à confirmer auprès de Recip-e. Cela se fait automatiquement.",
		"{n} voorschriften moeten nog bij Recip-e worden bevestigd. Dat gebeurt vanzelf.",
		"{n} Verschreibungen sind bei Recip-e noch zu bestätigen. Das geschieht automatisch.",
	}},
	{IDRxTwice, Warning, CheckItem, [languages]string{
		"Attention: prescription {id} was already dispensed elsewhere on {d}.",
		"Attention : la prescription {id} a déjà été délivrée ailleurs le {d}.",
		"Opgelet: voorschrift {id} werd al elders afgeleverd op {d}.",
		"Achtung: Verschreibung {id} wurde am {d} bereits anderswo abgegeben.",
	}},
	{IDMsgQueued, Warning, PhoneIfUrgent, [languages]string{
		"{n} messages are waiting and will be sent by themselves. Urgent? Please phone.",
		"{n} messages sont en attente et partiront automatiquement. Urgent ? Téléphonez.",
		"{n} berichten wachten en vertrekken vanzelf. Dringend? Bel.",
		"{n} Nachrichten warten und werden automatisch gesendet. Dringend? Bitte anrufen.",
	}},
	{IDMsgBad, Warning, CheckItem, [languages]string{
		"One message could not be opened and was set aside. All others are available.",
		"Un message n'a pas pu être ouvert et a été mis de côté. Les autres sont disponibles.",
		"Eén bericht kon niet worden geopend en is apart gezet. Alle andere zijn beschikbaar.",
		"Eine Nachricht ließ sich nicht öffnen und wurde beiseitegelegt. Alle anderen sind verfügbar.",
	}},
	{IDUnsure, Stop, DoNotResend, [languages]string{
		"We do not know yet whether this was received. Do not send it again; we are checking.",
		"Nous ne savons pas encore si l'envoi est arrivé. Ne le renvoyez pas, nous vérifions.",
		"We weten nog niet of dit is aangekomen. Verstuur het niet opnieuw; we gaan het na.",
		"Wir wissen noch nicht, ob dies angekommen ist. Bitte nicht erneut senden; wir prüfen es.",
	}},
	{IDSureYes, Info, CarryOn, [languages]string{
		"Checked: it was received at {t}.",
		"Vérifié : l'envoi a été reçu à {t}.",
		"Nagegaan: het is ontvangen om {t}.",
		"Geprüft: Es ist um {t} angekommen.",
	}},
	{IDSureNo, Info, CarryOn, [languages]string{
		"Checked: it was not received. It is sent again now.",
		"Vérifié : l'envoi n'est pas arrivé. Il est renvoyé maintenant.",
		"Nagegaan: het is niet ontvangen. Het wordt nu opnieuw verstuurd.",
		"Geprüft: Es ist nicht angekommen. Es wird jetzt erneut gesendet.",
	}},
	{IDAttToday, Warning, PaperIfStillDown, [languages]string{
		"{n} attests must leave before midnight. If the service is not back, make paper attests.",
		"{n} attestations doivent partir avant minuit. Si le service n'est pas rétabli, faites-les sur papier.",
		"{n} attesten moeten vóór middernacht vertrekken. Is de dienst dan niet hersteld, maak ze dan op papier.",
		"{n} Bescheinigungen müssen vor Mitternacht gesendet werden. Sonst stellen Sie sie auf Papier aus.",
	}},
	{IDExpired, Stop, UsePaper, [languages]string{
		"This could not be sent in time ({d}) and will not be sent any more. Use paper.",
		"Ceci n'a pas pu être envoyé à temps ({d}) et ne le sera plus. Utilisez le papier.",
		"Dit kon niet tijdig worden verstuurd ({d}) en vertrekt niet meer. Gebruik papier.",
		"Dies konnte nicht rechtzeitig gesendet werden ({d}) und wird nicht mehr gesendet. Bitte auf Papier.",
	}},
	{IDDrain, Info, CarryOn, [languages]string{
		"{svc} is back. Sending {n} waiting items; about {t} to go.",
		"{svc} est rétabli. Envoi de {n} éléments en attente ; encore {t} environ.",
		"{svc} is hersteld. {n} wachtende items worden verstuurd; nog ongeveer {t}.",
		"{svc} ist wieder da. {n} wartende Einträge werden gesendet; noch etwa {t}.",
	}},
	{IDWrong, Warning, CarryOn, [languages]string{
		"An answer did not match your request and was not shown. We ask again.",
		"Une réponse ne correspondait pas à votre demande et n'a pas été affichée. Nous redemandons.",
		"Een antwoord paste niet bij uw vraag en is niet getoond. We vragen het opnieuw.",
		"Eine Antwort passte nicht zu Ihrer Anfrage und wurde nicht angezeigt. Wir fragen erneut.",
	}},
	{IDKey, Stop, CallHelpdesk, [languages]string{
		"A secure connection with {svc} is not possible. Nothing was sent. Contact your helpdesk (ref. {id}).",
		"Connexion sécurisée avec {svc} impossible. Rien n'a été envoyé. Contactez votre helpdesk (réf. {id}).",
		"Beveiligde verbinding met {svc} niet mogelijk. Er is niets verstuurd. Contacteer uw helpdesk (ref. {id}).",
		"Sichere Verbindung mit {svc} nicht möglich. Es wurde nichts gesendet. Wenden Sie sich an Ihren Helpdesk (Ref. {id}).",
	}},
	{IDCertSoon, Warning, RenewCertificate, [languages]string{
		"Your eHealth certificate expires on {d}. Renew it now.",
		"Votre certificat eHealth expire le {d}. Renouvelez-le maintenant.",
		"Uw eHealth-certificaat vervalt op {d}. Vernieuw het nu.",
		"Ihr eHealth-Zertifikat läuft am {d} ab. Erneuern Sie es jetzt.",
	}},
}
