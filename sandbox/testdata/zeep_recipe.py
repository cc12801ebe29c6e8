"""zeep with the real WSDLs of Recip-e: a prescription is made, listed by its author at both addresses, and by its patient.

Usage: zeep_recipe.py JOB.json, as zeep_genins.py. What is sealed is in the job; answers are printed as they came, in one JSON
object.
"""

import base64
import datetime
import json
import sys
import uuid

import requests
import zeep
import zeep.transports

from zeep_genins import Signer, token

NS = "urn:be:fgov:ehealth:recipe:protocol:v4"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    with open(job["cert"], encoding="ascii") as f:
        job["cert64"] = "".join(line.strip() for line in f if "CERTIFICATE" not in line)
    session = requests.Session()
    session.verify = job["ca"]
    session.trust_env = False
    signer = Signer(job, token(job, session))

    def service(role, address):
        client = zeep.Client(job[role.lower() + "_wsdl"], wsse=signer, transport=zeep.transports.Transport(session=session))
        return client.create_service("{%s}Recipe%sSoapBinding" % (NS, role), job[address])

    def call(operation, stem, sealed, **more):
        ident = "id" + str(uuid.uuid4())
        rs = operation(
            Id=ident, IssueInstant=datetime.datetime.now(datetime.timezone.utc), ProgramId="zeep/4",
            **{"Secured%sRequest" % stem: {"SecuredContent": base64.b64decode(sealed)}}, **more)
        content = rs["Secured%sResponse" % stem]["SecuredContent"]
        return {
            "status": rs["Status"]["StatusCode"]["Value"], "echo": str(rs["InResponseTo"] == ident).lower(),
            "content": base64.b64encode(content).decode(),
        }

    doctor = service("Prescriber", "prescriber")
    out = {"create": call(doctor.createPrescription, "CreatePrescription", job["create"], AdministrativeInformation={
        "PrescriptionType": "P0", "PrescriptionVersion": "kmehr_1.29", "ReferenceSourceVersion": "samv2:1",
        "KeyIdentifier": job["key_id"].encode()})}
    out["open"] = call(doctor.listOpenRids, "ListOpenRids", job["open"])
    out["alternate"] = call(service("Prescriber", "alternate").listOpenRids, "ListOpenRids", job["open"])
    out["mine"] = call(service("Patient", "patient").listOpenRids, "ListOpenRids", job["mine"])
    print(json.dumps(out))


if __name__ == "__main__":
    main()
