"""Signs and verifies with dkimpy: a JSON list of jobs comes in, a list of what became of them goes out."""
import base64
import json
import sys

import dkim

jobs = json.load(sys.stdin)
answers = []
for job in jobs:
    message = base64.b64decode(job["message"])
    if job["do"] == "sign":
        field = dkim.sign(
            message,
            b"s",
            b"a.example",
            job["key"].encode(),
            canonicalize=(job["header"].encode(), job["body"].encode()),
            signature_algorithm=job["algorithm"].encode(),
            include_headers=[name.encode() for name in job["fields"]],
            length=job["length"],
        )
        answers.append(base64.b64encode(field + message).decode())
    elif job["do"] == "verify":
        record = job["record"].encode()
        try:
            answers.append(dkim.verify(message, dnsfunc=lambda name, timeout=5: record))
        except dkim.DKIMException as error:
            answers.append(str(error))
    elif job["do"] == "arc-sign":
        fields = dkim.arc_sign(
            message,
            b"s",
            b"a.example",
            job["key"].encode(),
            b"mx.a.example",
            include_headers=[name.encode() for name in job["fields"]],
        )
        answers.append(base64.b64encode(b"".join(fields) + message).decode())
    elif job["do"] == "arc-verify":
        record = job["record"].encode()
        cv, results, reason = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: record)
        answers.append(cv.decode() if cv else "none")
json.dump(answers, sys.stdout)
