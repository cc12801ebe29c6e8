"""zeep with the real WSDL of the eHealthBox consultation service: box, list, letters, one with an attachment.

Usage: zeep_ehbox.py JOB.json, as zeep_genins.py. Prints one JSON object with what it understood.
"""

import json
import sys

import requests
import zeep
import zeep.transports
from zeep.wsdl.attachments import MessagePack

from zeep_genins import Signer, token

NS = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    with open(job["cert"], encoding="ascii") as f:
        job["cert64"] = "".join(line.strip() for line in f if "CERTIFICATE" not in line)
    session = requests.Session()
    session.verify = job["ca"]
    session.trust_env = False
    signer = Signer(job, token(job, session))
    client = zeep.Client(job["wsdl"], wsse=signer, transport=zeep.transports.Transport(session=session))
    box = client.create_service("{%s}ehBoxConsultationBinding" % NS, job["ehbox"])

    info = box.getBoxInfo()
    listed = box.getMessagesList(Source="INBOX")
    letters = []
    for row in listed["Message"]:
        full = box.getFullMessage(Source="INBOX", MessageId=row["MessageId"])
        annex = ""
        if isinstance(full, MessagePack):
            ref = full.root["Message"]["ContentContext"]["Content"]["Annex"][0]["EncryptableBinaryContent"]
            parts = {part.content_id.strip("<>"): part.content for part in full.attachments}  # zeep keeps the brackets
            annex = parts[ref.removeprefix("cid:")].decode()
            full = full.root
        document = full["Message"]["ContentContext"]["Content"]["Document"]
        letters.append([row["ContentInfo"]["Title"], document["EncryptableTextContent"].decode(), annex])
    moved = box.moveMessage(Source="INBOX", Destination="BININBOX", MessageId=[listed["Message"][0]["MessageId"]])
    try:
        box.getMessagesList(Source="INBOX", StartIndex=1, EndIndex=101)
        fault = ""
    except zeep.exceptions.Fault as e:
        fault = e.message
    print(json.dumps({
        "box": [info["BoxId"]["Id"], info["BoxId"]["Quality"]],
        "status": [info["Status"]["Code"], listed["Status"]["Code"], moved["Status"]["Code"]],
        "sender": listed["Message"][0]["Sender"]["Name"],
        "letters": letters,
        "left": len(box.getMessagesList(Source="INBOX")["Message"]),
        "fault": fault,
    }))


if __name__ == "__main__":
    main()
