"""Personalized mail at the price of a join: composed and rewritten once for all messages that differ in values only.

A personalized text is constants of the template with printed values between them, and most recipients get the same
constants. So a mark (letters and digits that occur nowhere else) is put in the place of each value, the marked texts are
composed and rewritten once, and where the marks come out, the values of each message are filled in.

A value may be filled in only where that gives what composing and rewriting the whole message anew would give: it stands in
text, in an attribute, or in an address, and holds nothing that means something there. Addresses with values in them are
tracked anew for each message. Any other value becomes a constant, so that the message has a shape of its own. What is
done with a message follows from the message alone, never from what was kept: it has the same octets each time.
"""

from smtpeter.content.shape.filled import FilledMessage
from smtpeter.content.shape.shapes import Shapes

__all__ = ["FilledMessage", "Shapes"]
