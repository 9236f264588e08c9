DROP TABLE popup_channels;
