"""Runs a command in a terminal of its own, COLUMNS x ROWS, and prints the screen as a person would see it.

usage: pty_run.py COLUMNSxROWS [--after SECONDS] COMMAND...
With --after, the screen is printed after SECONDS, and q tells the command to quit. Without it, the screen is printed when
the command has ended. The program knows only the control sequences that otpd writes, and fails on any other.
"""
import fcntl, os, pty, re, select, struct, sys, termios, time, unicodedata


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows, self.main = columns, rows, []
        self.alternate = False
        self.clear()

    def clear(self):
        self.cells, self.row, self.column = [[" "] * self.columns for _ in range(self.rows)], 0, 0

    def feed(self, text):
        for control, plain in re.findall(r"(\x1b\[[?0-9;]*[a-zA-Z])|([^\x1b]+)", text):
            self.control(control) if control else self.plain(plain)

    def control(self, sequence):
        if sequence == "\x1b[?1049h":
            self.alternate = True
            self.clear()
        elif sequence == "\x1b[?1049l":
            self.alternate = False
        elif sequence == "\x1b[H":
            self.row = self.column = 0
        elif sequence == "\x1b[K":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif sequence == "\x1b[J":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
            self.cells[self.row + 1:] = [[" "] * self.columns for _ in self.cells[self.row + 1:]]
        elif not re.fullmatch(r"\x1b\[[0-9;]*m|\x1b\[\?(25|7)[hl]", sequence):
            sys.exit(f"pty_run.py: unknown control sequence: {sequence!r}")

    def plain(self, text):
        if not self.alternate:
            self.main.append(text)
            return
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                if self.row + 1 >= self.rows:
                    sys.exit("pty_run.py: the picture is higher than the terminal")
                self.row += 1
            elif unicodedata.combining(character):
                self.cells[self.row][self.column - 1] += character
            else:
                width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
                if self.column + width > self.columns:
                    sys.exit("pty_run.py: a line is wider than the terminal")
                self.cells[self.row][self.column] = character
                if width == 2:
                    self.cells[self.row][self.column + 1] = ""
                self.column += width

    def text(self):
        if self.alternate:
            return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n")
        return re.sub(r"\x1b\[[0-9;]*m", "", "".join(self.main)).replace("\r", "").rstrip("\n")


def main():
    columns, rows = map(int, sys.argv[1].split("x"))
    command, after = sys.argv[2:], None
    if command[0] == "--after":
        after, command = float(command[1]), command[2:]
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    screen, shown, end = Screen(columns, rows), None, after and time.monotonic() + after
    decoder = __import__("codecs").getincrementaldecoder("utf-8")()
    while True:
        wait = None if end is None else max(0, end - time.monotonic())
        if select.select([terminal], [], [], wait)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                data = b""
            if not data:
                break
            screen.feed(decoder.decode(data))
        elif shown is None:
            shown, end = screen.text(), None
            os.write(terminal, b"q")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(shown if shown is not None else screen.text())
    if code != 0:
        sys.exit(f"pty_run.py: {command[0]} ended with {code}")


main()
