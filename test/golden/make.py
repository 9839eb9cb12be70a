"""Makes records.json: records of every version of our schemas, encoded by fastavro, which shares no code with ours.

    python3 test/golden/make.py            writes it
    python3 test/golden/make.py --check    says whether fastavro still writes the same

Each record has a value, the bytes as hexadecimal without the five in front (they hold the registry's id), and what it
is for. It needs fastavro; .ci/run says of which version.
"""

import io
import json
import pathlib
import sys

import fastavro

HERE = pathlib.Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
OUTPUT = HERE / "records.json"

# Of numbers that every language has exactly; ours refuses one more.
LONGEST = 2**53 - 2

# What each field is in an ordinary record, and in one at the edges of what is allowed.
VALUES = {
    "alert-created-topic-value": [
        {
            "alertId": 1842,
            "alertKind": "JENKINS",
            "appName": "ssok-bank-api",
            "level": "ERROR",
            "title": "#1842 FAILED",
            "message": "한국어 😀 \u0000 end",
            "sourceId": "jenkins-1842",
            "labels": {"branch": "main", "": "empty key", "__proto__": "a key"},
            "occurredAt": 1764604800000,
            "createdAt": 1764604800123,
            "directoryVersion": 7,
            "recipientsNamed": True,
            "namedRecipients": {"userIds": ["op01", "op02"], "departments": []},
            "epoch": 3,
        },
        {
            "alertId": LONGEST,
            "alertKind": "OTHER",
            "appName": "",
            "level": "INFO",
            "title": "",
            "message": "x" * 2000,
            "sourceId": "",
            "labels": {},
            "occurredAt": -1,
            "createdAt": 0,
            "directoryVersion": 0,
            "recipientsNamed": False,
            "namedRecipients": None,
            "epoch": 0,
        },
    ],
    "user-alert-topic-value": [
        {"alertId": 1842, "userId": "op01", "epoch": 3},
        {"alertId": LONGEST, "userId": "이름", "epoch": 0},
    ],
    "inbox-change-topic-value": [
        {
            "userId": "op01",
            "lastSequence": 130,
            "unreadCount": 64,
            "changes": [
                {
                    "sequence": 129,
                    "alertId": 1842,
                    "type": "CREATED",
                    "isRead": False,
                    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                },
                {"sequence": 130, "alertId": 1841, "type": "DELETED", "isRead": True, "traceparent": ""},
            ],
            "epoch": 3,
        },
        {"userId": "", "lastSequence": LONGEST, "unreadCount": 2**31 - 1, "changes": [], "epoch": 0},
    ],
}


def versions(subject):
    files = (SCHEMAS / subject).glob("v*.avsc")
    return sorted(files, key=lambda file: int(file.stem[1:]))


def records():
    for folder in sorted(SCHEMAS.iterdir()):
        if not folder.is_dir():
            continue
        for file in versions(folder.name):
            schema = json.loads(file.read_text())
            names = [field["name"] for field in schema["fields"]]
            for value in VALUES[folder.name]:
                value = {name: value[name] for name in names}
                out = io.BytesIO()
                fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
                yield {"subject": folder.name, "version": int(file.stem[1:]), "value": value, "hex": out.getvalue().hex()}


def main():
    lines = ",\n".join(json.dumps(record, ensure_ascii=True) for record in records())
    text = f"[\n{lines}\n]\n"
    if "--check" not in sys.argv:
        OUTPUT.write_text(text)
    elif OUTPUT.read_text() != text:
        sys.exit(f"{OUTPUT} is not what fastavro {fastavro.__version__} writes; run {sys.argv[0]}")


main()
