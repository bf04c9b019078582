# Reads mails with MIME::Parser. For each file: a line for every error and warning, and one for every part, from the
# outside in: its depth, its type, its file name, and the MD5 of what it decodes to, with line ends as LF.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use MIME::Parser;

sub tell_part {
    my ($path, $part, $depth) = @_;
    my $name = $part->head->recommended_filename // "-";
    my $content = $part->bodyhandle ? $part->bodyhandle->as_string : "";
    $content =~ s/\r\n/\n/g;
    utf8::encode($name) if utf8::is_utf8($name);
    print join("\t", $path, "part", $depth, lc $part->mime_type, $part->is_multipart ? "-" : md5_hex($content), $name), "\n";
    tell_part($path, $_, $depth + 1) for $part->parts;
}

for my $path (@ARGV) {
    my $parser = MIME::Parser->new;
    $parser->output_to_core(1);
    $parser->tmp_to_core(1);
    my $mail = $parser->parse_open($path);
    for my $said ((map { "error: $_" } $parser->results->errors), (map { "warning: $_" } $parser->results->warnings)) {
        print join("\t", $path, "said", $said =~ s/\s+/ /gr), "\n";
    }
    tell_part($path, $mail, 0);
}
