# SPDX-License-Identifier: BSD-3-Clause
"""How applications speak SOCKS and HTTP CONNECT, byte by byte. Every function is called in the workstation's namespace
and returns what JSON can hold."""

import random
import socket
import struct
import time

GATEWAY = "10.152.152.10"


def exactly(peer, n):
    data = b""
    while len(data) < n:
        piece = peer.recv(n - len(data))
        if not piece:
            raise EOFError(f"ended after {data!r}")
        data += piece
    return data


def read_all(peer):
    data = b""
    try:
        while piece := peer.recv(65536):
            data += piece
    except ConnectionResetError:
        data += b"<reset>"
    return data


def address5(target):
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        try:
            return bytes([kind]) + socket.inet_pton(family, target)
        except OSError:
            pass
    return bytes([3, len(target)]) + target.encode("latin-1")


def request5(target, port, command=1):
    return bytes([5, command, 0]) + address5(target) + struct.pack("!H", port)


def credentials(user, password):
    return bytes([1, len(user)]) + user.encode() + bytes([len(password)]) + password.encode()


def dial(port, gateway=GATEWAY):
    peer = socket.create_connection((gateway, port), 10)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.settimeout(10)
    return peer


def reply5(peer):
    """(code, address as text)."""
    _, code, _, kind = exactly(peer, 4)
    if kind == 1:
        host = socket.inet_ntop(socket.AF_INET, exactly(peer, 4))
    elif kind == 4:
        host = socket.inet_ntop(socket.AF_INET6, exactly(peer, 16))
    else:
        host = exactly(peer, exactly(peer, 1)[0]).decode("latin-1")
    exactly(peer, 2)
    return code, host


def negotiate(peer, user, password):
    """As Tor Browser and torsocks do: with credentials if there are any, and a message only after each answer."""
    if user is None:
        peer.sendall(b"\x05\x01\x00")
        if exactly(peer, 2) != b"\x05\x00":
            raise ValueError("not without credentials")
        return
    peer.sendall(b"\x05\x02\x00\x02")
    if exactly(peer, 2) != b"\x05\x02":
        raise ValueError("not with credentials")
    peer.sendall(credentials(user, password))
    if exactly(peer, 2) != b"\x01\x00":
        raise ValueError("credentials refused")


def ask5(port, target, target_port, command=1, user=None, password=None, gateway=GATEWAY):
    """What SOCKS5 answers, and what follows a refusal."""
    with dial(port, gateway) as peer:
        negotiate(peer, user, password)
        peer.sendall(request5(target, target_port, command))
        code, host = reply5(peer)
        return code, host, read_all(peer).decode("latin-1") if code != 0 or command != 1 else None


def echo5(port, target, target_port, user=None, password=None, text="hello"):
    with dial(port) as peer:
        negotiate(peer, user, password)
        peer.sendall(request5(target, target_port))
        code, _ = reply5(peer)
        if code != 0:
            return code
        peer.sendall(text.encode())
        return exactly(peer, len(text)).decode()


def echo_at_end(port, target, target_port, text):
    with dial(port) as peer:
        negotiate(peer, None, None)
        peer.sendall(request5(target, target_port))
        reply5(peer)
        peer.sendall(text.encode())
        peer.shutdown(socket.SHUT_WR)
        return read_all(peer).decode()


def split(port, target, target_port, pieces):
    """The whole of it, with early data, cut into pieces of so many bytes; then the echo."""
    whole = b"\x05\x02\x00\x02" + credentials("user", "secret") + request5(target, target_port) + b"early data"
    with dial(port) as peer:
        for i in range(0, len(whole), pieces):
            peer.sendall(whole[i:i + pieces])
            if pieces < 8:
                time.sleep(0.002)
        got = exactly(peer, 2 + 2 + 10 + 10)
        return got.hex()


def ask4(port, target, target_port, command=1, user="", name=""):
    message = struct.pack("!BBH", 4, command, target_port) + socket.inet_aton(target) + user.encode() + b"\0"
    if name:
        message += name.encode() + b"\0"
    with dial(port) as peer:
        peer.sendall(message)
        answer = exactly(peer, 8)
        if answer[1] != 0x5A or command != 1:
            return answer[1], socket.inet_ntoa(answer[4:]), read_all(peer).decode("latin-1")
        peer.sendall(b"four")
        return answer[1], socket.inet_ntoa(answer[4:]), exactly(peer, 4).decode()


def say(port, text, half_close=False):
    """Everything that comes for these bytes."""
    with dial(port) as peer:
        peer.sendall(bytes.fromhex(text))
        if half_close:
            peer.shutdown(socket.SHUT_WR)
        return read_all(peer).hex()


def connect(port, line, headers=(), text="tunnel"):
    """The status line of HTTP CONNECT, and the echo behind it."""
    request = "\r\n".join((line, *headers, "", "")).encode()
    with dial(port) as peer:
        peer.sendall(request)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += exactly(peer, 1)
        status = head.split(b"\r\n")[0].decode()
        if " 200 " not in status:
            return status, read_all(peer).decode("latin-1")
        peer.sendall(text.encode())
        return status, exactly(peer, len(text)).decode()


def echo_many(port, target, count, size):
    """So many at once; how many got all of it back."""
    peers, good = [], 0
    for i in range(count):
        peer = dial(port)
        peer.sendall(b"\x05\x01\x00" + request5(target, 7) + bytes([i % 256]) * size)
        peers.append(peer)
    for i, peer in enumerate(peers):
        with peer:
            good += exactly(peer, 2 + 10 + size)[12:] == bytes([i % 256]) * size
    return good


def refused(address, port):
    """The errno of a connect, 0 if it is open."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as peer:
        peer.settimeout(5)
        return peer.connect_ex((address, port))


def control(lines):
    """Send each line after the answer to the one before; all lines that came, and "<end>" if the session was ended."""
    got = []
    with dial(9051) as peer:
        file = peer.makefile("rb")
        for line in lines:
            peer.sendall(line.encode() + b"\r\n")
            while True:
                answer = file.readline().decode().rstrip("\r\n")
                got.append(answer or "<end>")
                if not answer or answer[3] == " ":
                    break
        if lines[-1] == "QUIT" or len(lines[-1]) > 512:
            got.append(file.readline().decode() or "<end>")
    return got


def hold(port, count):
    """How many of so many connections at once are let in."""
    peers, good = [], 0
    for _ in range(count):
        try:
            peers.append(dial(port))
            good += 1
        except ConnectionRefusedError:
            pass
    for peer in peers:
        peer.close()
    return good


def hold_from(sources, count):
    """Sessions at the control port from each of the addresses, all held, while one more has a word there from the usual
    address. How many there were, what it was told, and how many of them were ended for it."""
    peers = []
    for source in sources:
        for _ in range(count):
            peers.append(socket.create_connection((GATEWAY, 9051), 5, (source, 0)))
    said = control(["SIGNAL NEWNYM"])
    ended = 0
    for peer in peers:
        peer.setblocking(False)
        try:
            ended += peer.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionResetError:
            ended += 1
        peer.close()
    return len(peers), said, ended


def nonsense(rng):
    """What is nearly a request, or nothing like one."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 700))
    if kind == 1:
        return bytes([5, rng.randrange(256)]) + bytes(rng.choice((0, 2, 1, 255)) for _ in range(rng.randrange(300)))
    if kind == 2:
        return (bytes([4, rng.choice((1, 2, 0xF0, 0xF1))]) + rng.randbytes(6) + b"a" * rng.randrange(300) + b"\0" +
                b"b" * rng.randrange(300) + b"\0")
    if kind == 3:
        return (b"CONNECT " + bytes(rng.choice(b"a.:[]%1\t ") for _ in range(rng.randrange(50))) +
                b" HTTP/1.1\r\n" * rng.randrange(3) + b"\r\n")
    target = rng.choice(("198.51.100.7", "www.example.com", "::1", "10.0.0.1", "localhost"))
    return (b"\x05\x02\x00\x02" + credentials("u" * rng.randrange(256), "p" * rng.randrange(256)) +
            request5(target, rng.choice((7, 81, 113, 1000, 0)), rng.choice((1, 1, 1, 2, 3, 0xF0, 0xF1))) + b"\n" +
            rng.randbytes(rng.randrange(5000)))


def babble(count, seed):
    """Nonsense in random pieces at random ports, and a random end. Returns how many clients there were."""
    rng = random.Random(seed)
    for _ in range(count):
        with dial(rng.choice((9050, 9150, 9101, 9190, 9220, 9051))) as peer:
            data, how = nonsense(rng), rng.randrange(4)
            try:
                while data:
                    n = rng.choice((1, 2, 3, 50, 5000))
                    peer.sendall(data[:n])
                    data = data[n:]
                if how == 0:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif how == 1:
                    peer.shutdown(socket.SHUT_WR)
                elif how == 2:
                    peer.settimeout(0.1)
                    peer.recv(1000)
            except OSError:
                pass  # ended from the other side, or nothing came
    return count


def say_half(port, count, seconds):
    """So many who say half of a greeting and no more. How many were let in; they stay for a while."""
    peers = []
    while len(peers) < count:
        peer = socket.socket()
        peer.settimeout(0.3)
        if peer.connect_ex((GATEWAY, port)) != 0:
            peer.close()
            break
        peer.sendall(b"\x05\x02\x00")
        peers.append(peer)
    time.sleep(seconds)
    for peer in peers:
        peer.close()
    return len(peers)
