"""An SMTP server that keeps what it is sent."""
import threading
from email import message_from_bytes, policy


class Mailbox:
    """Listens on a local port; the target's mail settings have to point there."""

    def __init__(self, port):
        from aiosmtpd.controller import Controller
        self.port = port
        self.lock = threading.Lock()
        self.items = []
        self.controller = Controller(self, hostname="127.0.0.1", port=port)
        self.controller.start()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 (aiosmtpd's name)
        message = message_from_bytes(envelope.content, policy=policy.default)
        texts = [part.get_content() for part in message.walk()
                 if part.get_content_maintype() == "text"]
        with self.lock:
            self.items.append({
                "to": [address.lower() for address in envelope.rcpt_tos],
                "from": envelope.mail_from, "subject": str(message["subject"]),
                "text": "\n".join(texts),
                "types": sorted({part.get_content_type() for part in message.walk()})})
        return "250 OK"

    def mark(self):
        """A place in the box, for `since`."""
        with self.lock:
            return len(self.items)

    def since(self, mark, to):
        """What came for an address since a mark."""
        with self.lock:
            return [mail for mail in self.items[mark:] if to.lower() in mail["to"]]

    def close(self):
        """Close the port."""
        self.controller.stop()
